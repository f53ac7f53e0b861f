# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train an agent, with the flags of Isaac Lab's script."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil

import torch
from omegaconf import OmegaConf

from rsl_dpcppo.cli.arguments import add_run_arguments, add_training_arguments, make_parser, parse
from rsl_dpcppo.cli.run_cfg import override, save_agent
from rsl_dpcppo.cli.runs import build, find, load, make_env, make_policies, new_run
from rsl_dpcppo.errors import CheckpointError, ConfigError
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
    cfg = override(task.make_agent(args.agent), overrides["agent"])
    env_cfg = override(task.env_cfg(), overrides["env"], "env")
    for name in ("seed", "num_envs", "max_iterations", "experiment_name", "run_name", "logger"):
        if getattr(args, name) is not None:
            setattr(cfg, name, getattr(args, name))
    if args.log_project_name is not None:
        cfg.wandb_project = cfg.neptune_project = args.log_project_name
    checkpoint = find(cfg.experiment_name, args) if args.resume else None

    env = make_env(task, env_cfg, cfg, args.device)
    run = new_run(cfg)
    try:
        runner = build(cfg, env, args.device, run)
        if checkpoint:
            print(f"[INFO] Resuming from: {checkpoint}")
            runner.load(str(checkpoint), map_location=args.device)
    except Exception:
        shutil.rmtree(run)  # made above; RSL-RL may have begun to log there
        raise
    save_agent(cfg, run)
    OmegaConf.save(OmegaConf.create(env.cfg), run / "params" / "env.yaml")
    print(f"[INFO] Logging experiment in directory: {run.resolve()}")
    runner.learn(cfg.max_iterations, init_at_random_ep_len=checkpoint is None)
    resources = {"peak_memory_mib": peak_memory(args.device)}
    (run / "resources.json").write_text(json.dumps(resources) + "\n", encoding="utf-8")

    torch.manual_seed(cfg.seed)
    task.report(make_policies(runner, cfg) | _rival(task, args, env), env, run)
    env.close()


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
    except CheckpointError:
        print(f"[INFO] Train with --agent {rival} as well, and the next report shows both.")
        return {}
    print(f"[INFO] Compared with: {trained.checkpoint}")
    return make_policies(trained.runner, trained.cfg)
