# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Export a trained policy."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from rsl_dpcppo import export as exporting
from rsl_dpcppo.bridge.rebuild import build_model
from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.checkpoint import read_checkpoint
from rsl_dpcppo.cli.arguments import add_inference_arguments, add_run_arguments, make_parser, parse, positive
from rsl_dpcppo.cli.run_cfg import check_task, is_rsl_rl_agent, load_agent, load_rsl_rl_agent, override
from rsl_dpcppo.cli.runs import find
from rsl_dpcppo.config import PPORunnerCfg
from rsl_dpcppo.errors import CheckpointError, ConfigError, ExportError
from rsl_dpcppo.tasks.registry import LAUNCH_THEMSELVES, find_task

EXPORT_TOLERANCE = 1e-5
"""Largest difference, in actions, that an exported policy may have from the live one."""


def export(arguments: list[str]) -> None:
    """Export a trained policy to TorchScript and ONNX, and compare both with the live policy.

    An earlier export is replaced once both are found to be right.

    Works on checkpoints of every host, with none of them installed: the run's params/agent.yaml tells the networks.
    """
    parser = make_parser("Export a trained flow policy to TorchScript and ONNX.")
    add_run_arguments(parser)
    add_inference_arguments(parser, "zero (default), a seed, or input: the noise is the policy's second input")
    parser.add_argument(
        "--candidates",
        type=positive,
        help="actions that critics inside choose from, where there are such; 1: no choice",
    )
    args, overrides = parse(parser, arguments)
    checkpoint = find(_experiment(args), args)
    check_task(checkpoint.parent, args.task)
    model = _load_model(args, overrides["agent"], checkpoint)
    exported = exporting.exported_policy(
        model, args.noise or "zero", args.policy or "", args.flow_steps or 0, args.candidates or 0
    )
    folder = checkpoint.parent / "exported"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished_", dir=folder) as aside:
        written = exporting.export(exported, Path(aside))
        for path in written:
            difference = exporting.largest_difference(model, exported, path)
            milliseconds = 1000.0 * exporting.latency(exported, path)
            print(
                f"[INFO] {folder / path.name}: differs from the live policy by at most {difference:.1e}; "
                f"{exported.head.flow.num_steps} flow steps take {milliseconds:.3f} ms for one observation on one core"
            )
            if difference > EXPORT_TOLERANCE:
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


def _load_model(args: argparse.Namespace, overrides: list[str], checkpoint: Path) -> Any:
    """Return the policy of a checkpoint of any host."""
    run = checkpoint.parent
    if is_rsl_rl_agent(run):
        if overrides:
            raise ConfigError(f"'{overrides[0]}': the networks of this run are those of its params/agent.yaml.")
        agent = load_rsl_rl_agent(run)
    else:
        cfg = override(load_agent(run) or find_task(args.task).make_agent(args.agent), overrides)
        if isinstance(cfg, PPORunnerCfg):
            raise ConfigError(f"Agent '{args.agent}' is no flow policy; export it with RSL-RL's own exporter.")
        agent = to_rsl_rl(cfg)
    try:
        return build_model(agent, read_checkpoint(checkpoint, map_location="cpu"))
    except (KeyError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"'{checkpoint}' does not fit this agent: it was written by another one, or with other networks. ({error})"
        ) from None
