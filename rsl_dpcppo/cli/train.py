# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train an agent, with the flags of Isaac Lab's script."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import io
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from rsl_dpcppo.cli.arguments import add_run_arguments, add_training_arguments, make_parser, parse
from rsl_dpcppo.cli.run_cfg import changes, check_task, override, save_agent
from rsl_dpcppo.cli.runs import build, configuration_of, find, load, make_env, make_policies, new_run
from rsl_dpcppo.config import RunnerCfg
from rsl_dpcppo.errors import CheckpointError, ConfigError, MissingCheckpointError
from rsl_dpcppo.metrics import peak_memory
from rsl_dpcppo.tasks.registry import find_task
from rsl_dpcppo.tasks.task import Policy, Task


def train(arguments: list[str]) -> None:
    """Train an agent, then report what it learned."""
    parser = make_parser("Train an agent.")
    add_run_arguments(parser)
    add_training_arguments(parser)
    args, overrides = parse(parser, arguments)
    if (args.load_run or args.checkpoint) and not args.resume:
        raise ConfigError("--load_run and --checkpoint name the run to continue: add --resume.")
    task = find_task(args.task)
    cfg, env_cfg, checkpoint = _configure(task, args, overrides)
    if importlib.util.find_spec(cfg.logger) is None:  # each has its package's name
        raise ConfigError(f"logger is '{cfg.logger}', which is not installed here: pip install {cfg.logger}")

    env = make_env(task, env_cfg, cfg, args.device)
    run = new_run(cfg)
    try:
        runner = build(cfg, env, args.device, run)
        if checkpoint:
            print(f"[INFO] Resuming from: {checkpoint}")
            runner.load(str(checkpoint), map_location=args.device)
        runner.check_sizes()
    except Exception:
        shutil.rmtree(run)  # made above; RSL-RL may have begun to log there
        raise
    save_agent(cfg, run)
    OmegaConf.save(OmegaConf.create({**env.cfg, "task": task.name}), run / "params" / "env.yaml")
    print(f"[INFO] Logging experiment in directory: {run.resolve()}")
    runner.learn(cfg.max_iterations, init_at_random_ep_len=checkpoint is None)
    resources = {"peak_memory_mib": peak_memory(args.device)}
    (run / "resources.json").write_text(json.dumps(resources) + "\n", encoding="utf-8")

    torch.manual_seed(cfg.seed)
    task.report(make_policies(runner, cfg) | _rival(task, args, env), env, run)
    env.close()


def _configure(
    task: Task, args: argparse.Namespace, overrides: dict[str, list[str]]
) -> tuple[RunnerCfg, Any, Path | None]:
    """Return the configurations of agent and environment, and the checkpoint to go on from.

    A resumed run has the configurations that it was begun with, but for what the command line says.
    """

    def apply(cfg: RunnerCfg, env_cfg: Any) -> tuple[RunnerCfg, Any]:
        names = ("seed", "num_envs", "max_iterations", "experiment_name", "run_name", "logger")
        given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        if args.log_project_name is not None:
            given |= dict.fromkeys(("wandb_project", "neptune_project"), args.log_project_name)
        cfg = dataclasses.replace(override(cfg, overrides["agent"]), **given)
        return cfg, override(env_cfg, overrides["env"], "env")

    cfg, env_cfg = apply(task.make_agent(args.agent), task.env_cfg())
    if not args.resume:
        return cfg, env_cfg, None
    checkpoint = find(cfg.experiment_name, args)
    check_task(checkpoint.parent, task.name)
    begun_with = configuration_of(checkpoint.parent, cfg, env_cfg)
    begun_with[0].experiment_name = cfg.experiment_name
    now = apply(*begun_with)
    for section, begun, present in zip(("agent", "env"), begun_with, now, strict=True):
        for change in changes(begun, present, section):
            print(f"[INFO] Changed on resuming: {change}")
    return *now, checkpoint


def _rival(task: Task, args: argparse.Namespace, env: object) -> dict[str, Policy]:
    """Return the policies of the newest run of the agent to compare with, if one was trained.

    A run in an experiment of its own has nothing beside it.
    """
    rival = task.rivals.get(args.agent)
    if rival is None or args.experiment_name is not None:
        return {}
    run_names = ("load_run", "checkpoint")  # say nothing about another agent's runs
    rival_args = argparse.Namespace(**{**vars(args), **dict.fromkeys(run_names), "agent": rival})
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # RSL-RL prints every network it builds
            trained = load(task, rival_args, {"agent": [], "env": []}, env)
    except CheckpointError as error:
        if isinstance(error, MissingCheckpointError):
            print(f"[INFO] Train with --agent {rival} as well, and the next report shows both.")
        else:
            print(f"[WARNING] Not compared with {rival}: {error}")
        return {}
    except Exception as error:  # whatever is wrong with another run, this one is finished and gets its report
        print(f"[WARNING] Not compared with {rival}, whose newest run does not load: {error!r:.200}")
        return {}
    print(f"[INFO] Compared with: {trained.checkpoint}")
    return make_policies(trained.runner, trained.cfg)
