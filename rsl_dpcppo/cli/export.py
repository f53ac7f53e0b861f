# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Export a trained policy."""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rsl_dpcppo import export as exporting
from rsl_dpcppo.bridge.rebuild import build_model, build_stock
from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.checkpoint import read_checkpoint
from rsl_dpcppo.cli.arguments import parse_export
from rsl_dpcppo.cli.run_cfg import check_task, is_rsl_rl_agent, load_agent, load_rsl_rl_agent, override
from rsl_dpcppo.cli.runs import find
from rsl_dpcppo.config import PPORunnerCfg
from rsl_dpcppo.errors import CheckpointError, ConfigError, ExportError
from rsl_dpcppo.tasks.registry import LAUNCH_THEMSELVES, find_task

EXPORT_TOLERANCE = 1e-5
"""Largest difference that an exported policy may have from the live one, as
:func:`~rsl_dpcppo.export.difference` has it."""


def export(arguments: list[str]) -> None:
    """Export a trained policy to TorchScript and ONNX, and compare both with the live policy.

    An earlier export is replaced once both are found to be right.

    Works on checkpoints of every host, with none of them installed: the run's params/agent.yaml tells the networks.
    """
    args, overrides = parse_export(arguments)
    checkpoint = find(_experiment(args), args)
    check_task(checkpoint.parent, args.task)
    exported, difference = _exported(args, overrides["agent"], checkpoint)
    folder = checkpoint.parent / "exported"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished_", dir=folder) as aside:
        written = exporting.export(exported, Path(aside))
        for path in written:
            error = difference(path)
            milliseconds = 1000.0 * exporting.latency(exported, path)
            flow = getattr(exported.head, "flow", None)
            what = f"{flow.num_steps} flow steps take" if flow else "an action takes"
            print(
                f"[INFO] {folder / path.name}: differs from the live policy by at most {error:.1e}, of an "
                f"action's size where that is above 1; {what} {milliseconds:.3f} ms for one observation on one core"
            )
            if error > EXPORT_TOLERANCE:
                raise ExportError(f"'{path.name}' differs from the live policy by more than {EXPORT_TOLERANCE:.0e}.")
        for path in written:
            os.replace(path, folder / path.name)


def _experiment(args: argparse.Namespace) -> str:
    """Return the experiment that the arguments name; a task of another host has none that is known here."""
    if args.experiment_name is not None:
        return args.experiment_name
    if args.task.startswith(LAUNCH_THEMSELVES):
        if args.checkpoint is None:
            raise ConfigError(f"Name the run of '{args.task}': --checkpoint FILE, or --experiment_name EXPERIMENT.")
        return ""
    return find_task(args.task).make_agent(args.agent).experiment_name


def _exported(
    args: argparse.Namespace, overrides: list[str], checkpoint: Path
) -> tuple[exporting.ExportedPolicy, Callable[[Path], float]]:
    """Return what is exported of a checkpoint of any host, and what compares a file of it with the live policy."""
    run = checkpoint.parent
    cfg = None
    if not is_rsl_rl_agent(run):
        cfg = override(load_agent(run) or find_task(args.task).make_agent(args.agent), overrides)
    elif overrides:
        raise ConfigError(f"'{overrides[0]}': the networks of this run are those of its params/agent.yaml.")
    agent = to_rsl_rl(cfg) if cfg else load_rsl_rl_agent(run)
    try:
        saved = read_checkpoint(checkpoint, map_location="cpu")
        if isinstance(cfg, PPORunnerCfg):
            for flag in ("noise", "policy", "flow_steps", "candidates"):
                if getattr(args, flag) is not None:
                    raise ConfigError(f"--{flag} is {getattr(args, flag)!r}; Gaussian PPO has no flow: leave it out.")
            stock = exporting.ExportedPolicy(*build_stock(agent, saved))
            return stock, partial(exporting.difference, copy.deepcopy(stock), stock)
        model = build_model(agent, saved)
    except (KeyError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"'{checkpoint}' does not fit this agent: it was written by another one, or with other networks. ({error})"
        ) from None
    flow = exporting.exported_policy(
        model, args.noise or "zero", args.policy or "", args.flow_steps or 0, args.candidates or 0
    )
    return flow, partial(exporting.largest_difference, model, flow)
