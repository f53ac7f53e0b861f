# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How far a run is, by its folders, and what takes it to its end from there."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

from rich.console import Console

from rsl_dpcppo.cli.compare.jobs import Job
from rsl_dpcppo.cli.compare.plan import Run
from rsl_dpcppo.cli.dispatch import DIVERGED
from rsl_dpcppo.cli.run_cfg import LOG_ROOT, load_agent
from rsl_dpcppo.config import RunnerCfg
from rsl_dpcppo.errors import ConfigError

TRAIN = (sys.executable, "-m", "rsl_dpcppo.cli", "train")
"""The command that trains one run."""

FREE = ("run_name", "max_iterations", "experiment_name")
"""Fields in which a run may differ from what is asked for now."""

OUTCOMES = {0: "finished", DIVERGED: "diverged"}
"""What exit statuses of a training mean; any other is a failure."""


def make_job(run: Run, device: str | None, console: Console) -> Job:
    """Return what trains a run to its end, from wherever it is."""
    cfg = run.cfg
    log = LOG_ROOT / cfg.experiment_name / f"{cfg.run_name}.log"

    def command() -> list[str]:
        done = num_done(run_folders(cfg))
        text = f"[INFO] {run.title}: from iteration {done} to {cfg.max_iterations}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return _train_command(run, device, done)

    def needs() -> list[Path]:
        return _last_checkpoint(run_folders(cfg))

    return Job(run.title, command, log, OUTCOMES, needs)


def _last_checkpoint(folders: list[Path]) -> list[Path]:
    """Return the files that a run goes on from elsewhere: its last checkpoint, and what it was made with."""
    paths = [path for folder in folders for path in folder.glob("model_*.pt")]
    if not paths:
        return []
    last = max(paths, key=_iteration)
    return [last, *(last.parent / "params").glob("*.yaml")]


def _train_command(run: Run, device: str | None, done: int) -> list[str]:
    """Return the command that takes a run to its end.

    Args:
        run: The run.
        device: Where it runs; None leaves it to the run.
        done: Iterations that it has already.
    """
    cfg = run.cfg
    command = [
        *TRAIN,
        f"--task={run.task}",
        f"--agent={run.variant.agent}",
        *([f"--device={device}"] if device else []),
    ]
    command += [f"--seed={cfg.seed}", f"--num_envs={cfg.num_envs}", f"--run_name={cfg.run_name}"]
    command += [f"--experiment_name={cfg.experiment_name}", *run.variant.overrides]
    if done:
        command += ["--resume", rf"--load_run=.*_{cfg.run_name}(_\d+)?$"]
    return [*command, f"--max_iterations={max(1, cfg.max_iterations - done)}"]


def is_finished(cfg: RunnerCfg) -> bool:
    """Return whether a run has its iterations and its evaluation.

    Raises:
        ConfigError: If it has more iterations than asked for, or other settings.
    """
    folders = run_folders(cfg)
    _check_same(cfg, folders)
    done = num_done(folders)
    # One that was killed while it was evaluated is taken up for one more iteration.
    if done > cfg.max_iterations + 1:
        raise ConfigError(f"'{folders[-1]}' has {done} iterations already; ask for as many, or give another --name.")
    return done >= cfg.max_iterations and (folders[-1] / "evaluation.json").is_file()


def num_done(folders: list[Path]) -> int:
    """Return the iterations that a run has saved."""
    return max((_iteration(path) + 1 for folder in folders for path in folder.glob("model_*.pt")), default=0)


def _iteration(checkpoint: Path) -> int:
    return int(checkpoint.stem[6:])


def run_folders(cfg: RunnerCfg) -> list[Path]:
    """Return the folders of a run and of its continuations, oldest first."""
    root = LOG_ROOT / cfg.experiment_name
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
    return [root / name for name in names if re.fullmatch(rf".*_{cfg.run_name}(_\d+)?", name)]


def _check_same(cfg: RunnerCfg, folders: list[Path]) -> None:
    """Refuse to mix runs of different settings."""
    for folder in folders:
        saved = load_agent(folder)
        if saved is None:
            continue
        if dataclasses.replace(saved, **{name: getattr(cfg, name) for name in FREE}) != cfg:
            raise ConfigError(f"'{folder}' was made with other settings; give this comparison another --name.")
