# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train an agent, with the flags of Isaac Lab's script."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from rsl_dpcppo.bridge.logs import Iteration
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.cli.arguments import parse_train
from rsl_dpcppo.cli.console import console
from rsl_dpcppo.cli.distributed import device_of, find_place
from rsl_dpcppo.cli.fields import describe
from rsl_dpcppo.cli.logger import check_logger
from rsl_dpcppo.cli.run_cfg import changes, check_task, load_config, override, save_agent
from rsl_dpcppo.cli.runs import (
    beside,
    build,
    configuration_of,
    default_device,
    find,
    find_device,
    load,
    make_env,
    make_policies,
    new_run,
)
from rsl_dpcppo.cli.video import Camera
from rsl_dpcppo.config import RunnerCfg, check_several_processes
from rsl_dpcppo.errors import CheckpointError, ConfigError, MissingCheckpointError
from rsl_dpcppo.learning.ranks import leave
from rsl_dpcppo.metrics import peak_memory
from rsl_dpcppo.tasks.registry import find_task
from rsl_dpcppo.tasks.task import Film, Policy, Task


def train(arguments: list[str]) -> None:
    """Train an agent, then report what it learned."""
    args, overrides = parse_train(arguments)
    here = find_place(args.distributed)
    if here.rank > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  process 0 tells it
    task = find_task(args.task)
    cfg, env_cfg, checkpoint, rates = _configure(task, args, overrides)
    if args.fields:
        print(f"{describe(cfg, 'agent')}\n{describe(env_cfg, 'env')}")
        return
    args.device = find_device(device_of(here, args.device or default_device()))
    check_logger(cfg.logger)
    if here.world_size > 1:
        check_several_processes("agent.algorithm", cfg.algorithm)
        cfg = dataclasses.replace(cfg, seed=cfg.seed + here.rank)

    env = make_env(task, env_cfg, cfg, args.device)
    run = new_run(cfg) if here.rank == 0 else None
    try:
        runner = build(cfg, env, args.device, run)
        if checkpoint:
            print(f"[INFO] Resuming from: {checkpoint}")
            runner.load(str(checkpoint), map_location=args.device)
            for field, rate in rates.items():
                runner.take_rate(field, rate)
        runner.check_sizes()
        camera = _camera(task, env_cfg, cfg, runner, args, run) if args.video and run else None
        runner.open_logger()
    except BaseException as error:
        if run:
            shutil.rmtree(run)  # made above; RSL-RL may have begun to log there
        if type(error).__module__.startswith(cfg.logger):  # the service's own, such as no key or no connection
            raise ConfigError(f"logger is '{cfg.logger}', and {(str(error) or repr(error)).splitlines()[0]}") from None
        raise
    if run:
        save_agent(cfg, run)
        OmegaConf.save(OmegaConf.create({**env.cfg, "task": task.name}), run / "params" / "env.yaml")
        print(f"[INFO] Logging experiment in directory: {run.resolve()}")
    with console(args.verbose) as show:

        def after_iteration(iteration: Iteration) -> None:
            show(iteration)
            if camera:
                camera(iteration.number)

        runner.learn(cfg.max_iterations, checkpoint is None, after_iteration)
    leave()
    if run:
        _report(task, args, cfg, runner, run)
        runner.close_logger(run)
    env.close()


def _report(task: Task, args: argparse.Namespace, cfg: RunnerCfg, runner: Any, run: Path) -> None:
    """Write what a run took and what it learned into its folder."""
    resources = {"peak_memory_mib": peak_memory(args.device)}
    (run / "resources.json").write_text(json.dumps(resources) + "\n", encoding="utf-8")

    torch.manual_seed(cfg.seed)
    policies = make_policies(runner, cfg)
    task.report(policies | _rival(task, args, cfg, runner.env, policies), runner.env, run)


def _configure(
    task: Task, args: argparse.Namespace, overrides: dict[str, list[str]]
) -> tuple[RunnerCfg, Any, Path | None, dict[str, float]]:
    """Return the configurations of agent and environment, the checkpoint to go on from, and step sizes that differ.

    A resumed run has the configurations that it was begun with, but for what the command line says. Step sizes are the
    checkpoint's, but for those that the command line changes.
    """

    def apply(cfg: RunnerCfg, env_cfg: Any) -> tuple[RunnerCfg, Any]:
        names = ("seed", "num_envs", "max_iterations", "experiment_name", "run_name", "logger")
        given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        if args.log_project_name is not None:
            given |= dict.fromkeys(("wandb_project", "neptune_project"), args.log_project_name)
        cfg = dataclasses.replace(override(cfg, overrides["agent"]), **given)
        return cfg, override(env_cfg, overrides["env"], "env")

    preset = task.make_agent(args.agent)
    begin_with = load_config(args.config, preset, args.agent) if args.config else preset
    cfg, env_cfg = apply(begin_with, task.env_cfg())
    if not args.resume:
        return cfg, env_cfg, None, {}
    checkpoint = find(cfg.experiment_name, args)
    check_task(checkpoint.parent, task.name)
    begun_with = configuration_of(checkpoint.parent, cfg, env_cfg)
    begun_with[0].experiment_name = cfg.experiment_name
    now = apply(*begun_with)
    for section, begun, present in zip(("agent", "env"), begun_with, now, strict=True):
        for change in changes(begun, present, section):
            print(f"[INFO] Changed on resuming: {change}")
    begun, present = (vars(each[0].algorithm) for each in (begun_with, now))
    rates = {x: present[x] for x in present if x.endswith("learning_rate") and present[x] != begun[x]}
    return *now, checkpoint, rates


def _camera(task: Task, env_cfg: Any, cfg: RunnerCfg, runner: Runner, args: argparse.Namespace, run: Path) -> Camera:
    """Return what films the policy that the report shows a picture of."""

    def film() -> Film:
        assert task.film is not None
        with runner.playing():
            policy = [policy for policy in make_policies(runner, cfg).values() if policy.caption][-1]
            return task.film(env_cfg, policy, args.video_length, args.device, cfg.seed)

    return Camera(film, run / "videos" / "train", args.video_interval, cfg.num_steps_per_env)


def _rival(
    task: Task, args: argparse.Namespace, cfg: RunnerCfg, env: object, own: dict[str, Policy]
) -> dict[str, Policy]:
    """Return the policies of the newest run of the agent to compare with, if one was trained, under names of their own.

    A run in an experiment of its own has nothing beside it.
    """
    rival = task.rivals.get(args.agent)
    if rival is None or cfg.experiment_name != task.make_agent(args.agent).experiment_name:
        return {}
    run_names = ("load_run", "checkpoint", "experiment_name")  # say nothing about another agent's runs
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
    return beside(own, make_policies(trained.runner, trained.cfg), rival)
