# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs on disk and in memory: their folders, their checkpoints, and the policies that they trained."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.checkpoint import find_checkpoint, remove_unfinished
from rsl_dpcppo.cli.run_cfg import LOG_ROOT, is_rsl_rl_agent, load_agent, load_env, override
from rsl_dpcppo.config import PPORunnerCfg, RunnerCfg, check_choice
from rsl_dpcppo.errors import CheckpointError, ConfigError
from rsl_dpcppo.tasks.task import Policy, Task

MAX_PLAY_ENVS = 128
"""Environments that play uses at most, unless told."""


@dataclass
class Trained:
    """A run that was loaded to act."""

    runner: Runner
    cfg: RunnerCfg
    env_cfg: Any
    checkpoint: Path


def new_run(cfg: RunnerCfg) -> Path:
    """Make the folder logs/rsl_rl/<experiment>/<date_time>[_run_name], which no other run has."""
    name = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + (f"_{cfg.run_name}" if cfg.run_name else "")
    folder, number = LOG_ROOT / cfg.experiment_name / name, 1
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder.parent)
    while True:
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
            folder = folder.with_name(f"{name}_{number}")


def find(experiment_name: str, args: argparse.Namespace) -> Path:
    """Return the checkpoint that the arguments name.

    Raises:
        CheckpointError: If there is none; the message lists what is there.
    """
    if args.checkpoint and Path(args.checkpoint).is_file():
        return Path(args.checkpoint)
    names = {"load_run": args.load_run, "checkpoint": args.checkpoint}
    return find_checkpoint(LOG_ROOT / experiment_name, **{key: name for key, name in names.items() if name})


def configuration_of(run: Path, cfg: RunnerCfg, env_cfg: Any) -> tuple[RunnerCfg, Any]:
    """Return the configurations of agent and environment that a run was trained with.

    Args:
        run: The run's folder.
        cfg: The agent's preset, for a run that keeps no configuration of ours.
        env_cfg: The environment's preset.

    Raises:
        CheckpointError: If the run is another agent's.
    """
    saved = None if is_rsl_rl_agent(run) else load_agent(run)
    if saved is not None and saved.name != cfg.name:
        raise CheckpointError(
            f"'{run}' was trained with {title_of(saved)}, and the agent named here is {title_of(cfg)}."
        )
    return saved or cfg, load_env(run, env_cfg)


def default_device() -> str:
    """Return the device that is used where none is named: a GPU where there is one."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def find_device(name: str | None) -> str:
    """Return the device to use: the one that is named, or the default.

    Raises:
        ConfigError: If nothing can be computed there.
    """
    name = name or default_device()
    try:
        device = torch.device(name)
        if device.type == "meta" or (device.type == "cpu" and device.index):
            raise RuntimeError("nothing can be computed there")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"--device is '{name}', which is not usable here: {str(error).splitlines()[0]}") from None
    return name


def make_env(task: Task, env_cfg: Any, cfg: RunnerCfg, device: str) -> Any:
    """Make a task's environment with the number of environments and the seed of an agent's configuration."""
    return task.make_env(env_cfg, cfg.num_envs, device, cfg.seed)


def build(cfg: RunnerCfg, env: Any, device: str, run: Path | None) -> Runner:
    """Build RSL-RL's runner with fresh networks, which depend on the seed alone."""
    torch.manual_seed(cfg.seed)
    return Runner(env, to_rsl_rl(cfg), log_dir=str(run) if run else None, device=device)


def load(task: Task, args: argparse.Namespace, overrides: dict[str, list[str]], env: Any = None) -> Trained:
    """Load the policy that the arguments name, with the networks and the environment of its run.

    Args:
        task: The task.
        args: Arguments of the command.
        overrides: Overrides of "agent" and "env".
        env: Environment to use instead of one of the run's own.
    """
    cfg = task.make_agent(args.agent)
    cfg.experiment_name = args.experiment_name or cfg.experiment_name
    checkpoint = find(cfg.experiment_name, args)
    cfg, env_cfg = configuration_of(checkpoint.parent, cfg, task.env_cfg())
    cfg, env_cfg = override(cfg, overrides["agent"]), override(env_cfg, overrides["env"], "env")
    cfg = dataclasses.replace(
        cfg,
        seed=args.seed if args.seed is not None else cfg.seed,
        num_envs=getattr(args, "num_envs", None) or min(cfg.num_envs, MAX_PLAY_ENVS),
    )
    flow_steps = getattr(args, "flow_steps", None)
    if flow_steps and isinstance(cfg, PPORunnerCfg):
        raise ConfigError(f"--flow_steps is {flow_steps}; agent '{args.agent}' has no flow: leave it out.")
    runner = build(cfg, env or make_env(task, env_cfg, cfg, args.device), args.device, run=None)
    print(f"[INFO] Loading: {checkpoint}")
    runner.load(str(checkpoint), for_training=False, map_location=args.device)
    if flow_steps:
        runner.alg.model.head.set_num_steps(flow_steps)
    torch.manual_seed(cfg.seed)
    return Trained(runner, cfg, env_cfg, checkpoint)


def make_policies(
    runner: Runner, cfg: RunnerCfg, noise: str | None = None, only: str | None = None
) -> dict[str, Policy]:
    """Return the inference policies of a trained agent by name, "Flow" and "Flow+Res" as in the paper's Table 3.

    Args:
        runner: Runner with the agent.
        cfg: Its configuration.
        noise: Initial noise, by default both random and zero noise, as policies of their own, unless the configuration
            has a seed.
        only: The one inference policy to return, by default all.
    """
    act, title = runner.get_inference_policy(runner.device), title_of(cfg)
    if isinstance(cfg, PPORunnerCfg):
        return {title: Policy(act, title)}
    head = runner.alg.model.head
    if only is not None:
        check_choice("--policy", only, head.policies)

    def make(kind: str, noise: str, caption: str) -> Policy:
        def policy(observations: TensorDict) -> torch.Tensor:
            head.set_inference(kind, noise)
            return act(observations)

        return Policy(policy, caption)

    configured: str = cfg.actor.inference_noise  # type: ignore[attr-defined]
    if noise is None and configured.isdigit():
        noise = configured
    rows = {"flow": (title, title)}  # by what acts: the row's name, and the caption of its picture
    if len(head.policies) > 1:
        rows = {"flow": ("Flow", f"{title}, flow alone" if only else ""), "flow_residual": ("Flow+Res", title)}
    rows = {kind: row for kind, row in rows.items() if only in (None, kind)}
    policies = {name: make(kind, noise or "random", caption) for kind, (name, caption) in rows.items()}
    if noise is None:
        # Which noise a paper means by its policy differs, and much depends on it. A picture shows what is random.
        kind, (name, _) = list(rows.items())[-1]
        policies[f"{name}, zero noise"] = make(kind, "zero", "")
    return policies


def beside(policies: dict[str, Policy], others: dict[str, Policy], agent: str) -> dict[str, Policy]:
    """Return the policies of another agent under names and captions that one's own do not have.

    Args:
        policies: The agent's own policies.
        others: Those of the other agent.
        agent: Name of the other agent, which goes before what both would be called.
    """
    captions = {policy.caption for policy in policies.values()} - {""}

    def distinct(name: str, taken: Container[str]) -> str:
        return f"{agent}: {name}" if name in taken else name

    return {
        distinct(name, policies): dataclasses.replace(policy, caption=distinct(policy.caption, captions))
        for name, policy in others.items()
    }


def title_of(cfg: RunnerCfg) -> str:
    """Return what tables and pictures call an agent's algorithm."""
    return ALGORITHMS[cfg.name].title if cfg.name in ALGORITHMS else "Gaussian PPO"
