# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The flags of the commands: those of Isaac Lab's scripts, and overrides of the agent's and environment's fields.

Imports no torch, which takes seconds: a wrong name of a task, an agent or a flag is to be found at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rsl_dpcppo.algorithms.dpcppo.config import INFERENCE_POLICIES
from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.cli.run_cfg import agent_of
from rsl_dpcppo.config import RunnerCfg
from rsl_dpcppo.config.ppo import LOGGERS
from rsl_dpcppo.errors import ConfigError, did_you_mean
from rsl_dpcppo.tasks.registry import LAUNCH_THEMSELVES, find_task
from rsl_dpcppo.tasks.task import Task

DEFAULT_TASK, DEFAULT_AGENT = "MultiGoal-v0", "dpcppo"


class Parsed(NamedTuple):
    """A command line."""

    args: argparse.Namespace
    """The flags."""

    overrides: dict[str, list[str]]
    """Overrides of each section."""


def parse_train(arguments: list[str]) -> Parsed:
    """Read the command line of train.

    Raises:
        ConfigError: If it names what does not exist.
    """
    task, agent, cfg = _named(arguments)
    parser = make_parser("Train an agent.")
    _add_run_arguments(parser, task.agents, f"{cfg.seed}, the agent's", agent)
    parser.add_argument("--config", type=Path, metavar="FILE", help=_CONFIG_HELP)
    parser.add_argument("--num_envs", type=positive, help=f"number of environments (default: {cfg.num_envs})")
    parser.add_argument(
        "--max_iterations",
        type=positive,
        help=f"iterations to do, after those of --resume (default: {cfg.max_iterations})",
    )
    parser.add_argument("--run_name", help="suffix of the run's folder")
    parser.add_argument("--resume", action="store_true", help="continue a run, the newest by default")
    parser.add_argument(
        "--distributed", action="store_true", help="train in several processes, which torchrun starts, a GPU each"
    )
    parser.add_argument("--logger", choices=LOGGERS, help=f"where the metrics go (default: {cfg.logger})")
    parser.add_argument("--log_project_name", help=f"project at W&B or Neptune (default: {cfg.wandb_project})")
    parser.add_argument("--video", action="store_true", help="film while training, where the task can be seen")
    parser.add_argument("--video_length", type=positive, default=200, help="steps of a video (default: %(default)s)")
    parser.add_argument(
        "--video_interval", type=positive, default=2000, help="steps from one video to the next (default: %(default)s)"
    )
    parser.add_argument("--verbose", action="store_true", help="print RSL-RL's table of every iteration")
    parser.add_argument("--fields", action="store_true", help="list the fields of agent and environment, and end")
    parsed = parse(parser, arguments)
    parsed.args.agent = agent
    if (parsed.args.load_run or parsed.args.checkpoint) and not parsed.args.resume:
        raise ConfigError("--load_run and --checkpoint name the run to continue: add --resume.")
    if parsed.args.config and parsed.args.resume:
        raise ConfigError("--config is for a new run; a run that is continued has its own: leave one of the two out.")
    if parsed.args.video and task.film is None:
        raise ConfigError(f"--video: '{task.name}' has no pictures to film: leave it out.")
    return parsed


def parse_play(arguments: list[str]) -> Parsed:
    """Read the command line of play.

    Raises:
        ConfigError: If it names what does not exist.
    """
    task, agent, _ = _named(arguments)
    parser = make_parser("Evaluate a trained policy, and film it where the task can be seen.")
    _add_run_arguments(parser, task.agents, "the run's", agent)
    _add_inference_arguments(parser, "initial noise: random, zero or a seed (default: as trained)")
    parser.add_argument(
        "--num_envs", type=positive, help="number of environments, and of episodes (default: the run's, at most 128)"
    )
    parser.add_argument("--video_length", type=not_negative, default=500, help="steps to film (default: 500, 0: none)")
    return parse(parser, arguments)


def parse_export(arguments: list[str]) -> Parsed:
    """Read the command line of export, whose task may be of a host that is not here.

    Raises:
        ConfigError: If it names what does not exist.
    """
    task = _name_parser().parse_known_args(arguments)[0].task
    agents: Iterable[str] = ["ppo", *ALGORITHMS]
    if not task.startswith(LAUNCH_THEMSELVES):
        agents = _named(arguments)[0].agents
    parser = make_parser("Export a trained policy to TorchScript and ONNX.")
    _add_run_arguments(parser, agents, "the run's", DEFAULT_AGENT)
    _add_inference_arguments(parser, "zero (default), a seed, or input: the noise is the policy's second input")
    parser.add_argument(
        "--candidates",
        type=positive,
        help="actions that critics inside choose from, where there are such; 1: no choice",
    )
    return parse(parser, arguments)


_CONFIG_HELP = "YAML file with the agent's fields, all or some, such as params/agent.yaml of a run"


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with what every command takes: a task, a device and overrides."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog="Any field of the agent and of the environment can be overridden: agent.algorithm.score_coef=0.5 "
        "agent.actor.flow_steps=8 env.max_episode_steps=500. train --fields lists them.",
        allow_abbrev=False,
    )
    parser.add_argument("--task", default=DEFAULT_TASK, help="name of the task (default: %(default)s)")
    parser.add_argument("--device", help="device (default: cuda:0 where there is a GPU, else cpu)")
    return parser


def parse(parser: argparse.ArgumentParser, arguments: list[str], sections: Iterable[str] = ("agent", "env")) -> Parsed:
    """Split a command line into the parser's arguments and the overrides of each section.

    Args:
        parser: The parser.
        arguments: The command line.
        sections: What overrides may begin with.

    Raises:
        ConfigError: If something is neither.
    """
    args, rest = parser.parse_known_args(arguments)
    overrides: dict[str, list[str]] = {section: [] for section in sections}
    for text in rest:
        if text.startswith("-"):
            flags = [flag for action in parser._actions for flag in action.option_strings]
            raise ConfigError(f"Unknown argument '{text}'.{did_you_mean(text, flags)} All arguments: --help")
        section, dot, _ = text.partition(".")
        if not dot or "=" not in text or section not in overrides:
            raise ConfigError(f"Unknown argument '{text}'. Overrides look like agent.algorithm.score_coef=0.5")
        overrides[section].append(text)
    return Parsed(args, overrides)


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}: must be 1 or more")
    return value


def not_negative(text: str) -> int:
    """Return a whole number of at least 0, for argparse."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value}: must be 0 or more")
    return value


def _name_parser() -> argparse.ArgumentParser:
    """Return a parser of what the other flags' defaults depend on."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--task", default=DEFAULT_TASK)
    parser.add_argument("--agent")
    parser.add_argument("--config", type=Path)
    return parser


def _named(arguments: list[str]) -> tuple[Task, str, RunnerCfg]:
    """Return the task that a command line names, its agent's name, and the agent's preset."""
    args = _name_parser().parse_known_args(arguments)[0]
    task = find_task(args.task)
    agent = args.agent or (args.config and agent_of(args.config)) or DEFAULT_AGENT
    return task, agent, task.make_agent(agent)


def _add_run_arguments(parser: argparse.ArgumentParser, agents: Iterable[str], seed: str, agent: str) -> None:
    """Add the flags that name an agent and one of its runs.

    Args:
        parser: The parser.
        agents: Names of the agents.
        seed: Which seed is the default.
        agent: Which agent is the default.
    """
    parser.add_argument(
        "--agent", default=agent, help=f"name of the agent: {', '.join(agents)} (default: {DEFAULT_AGENT})"
    )
    parser.add_argument("--seed", type=int, help=f"seed of networks, sampling and environment (default: {seed})")
    parser.add_argument("--load_run", help="run to load, a regular expression (default: the newest)")
    parser.add_argument("--checkpoint", help="checkpoint to load: a path, or a regular expression of the file's name")
    parser.add_argument("--experiment_name", help="folder of the runs, below logs/rsl_rl (default: the agent's)")
    parser.add_argument("--headless", action="store_true", help="for Isaac Lab's commands: no window opens here")


def _add_inference_arguments(parser: argparse.ArgumentParser, noise_help: str) -> None:
    """Add the flags that choose how a trained policy acts."""
    parser.add_argument("--policy", choices=INFERENCE_POLICIES, help="who acts: flow and residual, or the flow alone")
    parser.add_argument("--noise", help=noise_help)
    parser.add_argument("--flow_steps", type=positive, help="number of solver steps (default: as trained)")
