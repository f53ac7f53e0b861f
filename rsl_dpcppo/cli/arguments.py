# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The flags of the commands: those of Isaac Lab's scripts, and overrides of the agent's and environment's fields."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import torch

from rsl_dpcppo.algorithms.dpcppo.config import INFERENCE_POLICIES
from rsl_dpcppo.errors import ConfigError, did_you_mean


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with what every command takes: a task, a device and overrides."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog="Any field of the agent and of the environment can be overridden: agent.algorithm.score_coef=0.5 "
        "agent.actor.flow_steps=8 env.max_episode_steps=500",
        allow_abbrev=False,
    )
    parser.add_argument("--task", default="MultiGoal-v0", help="name of the task (default: %(default)s)")
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", type=_device, default=device, help="device (default: %(default)s)")
    return parser


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name an agent and one of its runs."""
    parser.add_argument("--agent", default="dpcppo", help="name of the agent: dpcppo (default), ppo, ...")
    parser.add_argument("--seed", type=int, help="seed of networks, sampling and environment")
    parser.add_argument("--load_run", help="run to load, a regular expression (default: the newest)")
    parser.add_argument("--checkpoint", help="checkpoint to load: a path, or a regular expression of the file's name")
    parser.add_argument("--experiment_name", help="folder of the runs, below logs/rsl_rl")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of train."""
    parser.add_argument("--num_envs", type=positive, help="number of environments")
    parser.add_argument("--max_iterations", type=positive, help="iterations to do, after those of --resume")
    parser.add_argument("--run_name", help="suffix of the run's folder")
    parser.add_argument("--resume", action="store_true", help="continue a run, the newest by default")
    parser.add_argument(
        "--distributed", action="store_true", help="train in several processes, which torchrun starts, a GPU each"
    )
    parser.add_argument("--logger", choices=("tensorboard", "wandb", "neptune"), help="where the metrics go")
    parser.add_argument("--log_project_name", help="project at W&B or Neptune")


def add_inference_arguments(parser: argparse.ArgumentParser, noise_help: str) -> None:
    """Add the flags that choose how a trained policy acts."""
    parser.add_argument("--policy", choices=INFERENCE_POLICIES, help="who acts: flow and residual, or the flow alone")
    parser.add_argument("--noise", help=noise_help)
    parser.add_argument("--flow_steps", type=positive, help="number of solver steps")


def parse(
    parser: argparse.ArgumentParser, arguments: list[str], sections: Iterable[str] = ("agent", "env")
) -> tuple[argparse.Namespace, dict[str, list[str]]]:
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
    return args, overrides


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


def _device(text: str) -> str:
    try:
        device = torch.device(text)
        if device.type == "meta" or (device.type == "cpu" and device.index):
            raise RuntimeError("nothing can be computed there")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not usable here: {str(error).splitlines()[0]}") from None
    return text
