# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Compare agents over tasks, seeds and values of fields: run what is missing, then write table and learning curves."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from rsl_dpcppo.cli.compare.arguments import parse_compare
from rsl_dpcppo.cli.compare.cluster import Cluster, connected
from rsl_dpcppo.cli.compare.curves import draw, write_csv
from rsl_dpcppo.cli.compare.isaaclab import is_of_isaaclab, isaaclab_commands
from rsl_dpcppo.cli.compare.jobs import FAILED, Job, Place, run_all
from rsl_dpcppo.cli.compare.machine import Machine
from rsl_dpcppo.cli.compare.plan import Run, Variant, agent_variants, make_runs
from rsl_dpcppo.cli.compare.processes import Resources
from rsl_dpcppo.cli.compare.results import Result, read_result
from rsl_dpcppo.cli.compare.table import format_table
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


def compare(arguments: list[str]) -> None:
    """Train every agent with every choice of the varied fields, on every task, with every seed, and compare them.

    A run that is finished is not made again, and one that was cut off is continued.

    Args:
        arguments: Command line.
    """
    args, variants = read(arguments)
    tasks = [task for task in args.task if not is_of_isaaclab(task)]
    runs = make_runs(tasks, variants, args.name, args.seeds, args.num_envs, args.iterations)
    if len(tasks) < len(args.task):
        print("Isaac Lab trains its tasks itself, and its logs stay with it. These are the commands:")
        print(*isaaclab_commands(set(args.task) - set(tasks), variants, args), sep="\n")
    if runs:
        _finish(args, runs, Console())


def read(arguments: list[str]) -> tuple[argparse.Namespace, list[Variant]]:
    """Return the flags of a command line, and the variants of the agents.

    Raises:
        ConfigError: If something is unknown, or does not fit together.
    """
    args, overrides = parse_compare(arguments)
    return args, agent_variants(args.agents, overrides, args.vary, args.paired)


def _finish(args: argparse.Namespace, runs: list[Run], console: Console) -> None:
    """Train what is missing, and show what there is then.

    Raises:
        ConfigError: If a run cannot be continued, before any begins; or if one failed, once the others have ended.
    """
    jobs = {run.title: _job(run, args.device, console) for run in runs if not _is_finished(run.cfg)}
    if jobs:
        with _place(args, len(jobs)) as place:
            run_all(list(jobs.values()), place, console)
    statuses = {run.title: jobs[run.title].status if run.title in jobs else 0 for run in runs}
    if finished := [run for run in runs if statuses[run.title] == 0]:
        diverged = [title for title, status in statuses.items() if status == DIVERGED]
        _show(args, finished, diverged)
    if failed := [str(job.log) for job in jobs.values() if job.state == FAILED]:
        raise ConfigError(f"{len(failed)} of {len(runs)} runs failed; the ends of their logs say why: {_some(failed)}.")
    if not finished:
        raise ConfigError(f"No run finished: {_some(list(statuses))}. The ends of their logs say why.")


@contextlib.contextmanager
def _place(args: argparse.Namespace, num_jobs: int) -> Iterator[Place]:
    """Give where the runs are made."""
    resources = Resources(args.cores, args.gpus, args.memory)
    if args.ray is None:
        yield Machine(args.jobs or 1, resources)
    else:
        with connected(args.ray, resources):
            yield Cluster(num_jobs, resources)


def _show(args: argparse.Namespace, finished: list[Run], diverged: list[str]) -> None:
    """Write the table, the curves and their pictures."""
    labels = list(dict.fromkeys(run.variant.label for run in finished))
    results = [_read(run, args.metrics) for run in finished]
    results.sort(key=lambda result: (args.task.index(result.task), labels.index(result.agent)))
    table = format_table(results, reference=labels[0])
    if diverged:
        table += f"\nNot in the table, because a loss became infinite: {'; '.join(diverged)}.\n"
    folder = LOG_ROOT / args.name
    (folder / "table.md").write_text(table, encoding="utf-8")
    write_csv(results, folder / "curves.csv")
    draw(results, folder / "curves.png")
    for name in args.metrics:
        draw(results, folder / f"curves_{name}.png", name)
    print(f"\n{table}\n[INFO] Table, curves and pictures: {folder.resolve()}")


def _job(run: Run, device: str | None, console: Console) -> Job:
    """Return what trains a run to its end, from wherever it is."""
    cfg = run.cfg
    log = LOG_ROOT / cfg.experiment_name / f"{cfg.run_name}.log"

    def command() -> list[str]:
        done = _num_done(_folders(cfg))
        text = f"[INFO] {run.title}: from iteration {done} to {cfg.max_iterations}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return _train_command(run, device, done)

    def needs() -> list[Path]:
        return _last_checkpoint(_folders(cfg))

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


def _is_finished(cfg: RunnerCfg) -> bool:
    """Return whether a run has its iterations and its evaluation.

    Raises:
        ConfigError: If it has more iterations than asked for, or other settings.
    """
    folders = _folders(cfg)
    _check_same(cfg, folders)
    done = _num_done(folders)
    # One that was killed while it was evaluated is taken up for one more iteration.
    if done > cfg.max_iterations + 1:
        raise ConfigError(f"'{folders[-1]}' has {done} iterations already; ask for as many, or give another --name.")
    return done >= cfg.max_iterations and (folders[-1] / "evaluation.json").is_file()


def _num_done(folders: list[Path]) -> int:
    return max((_iteration(path) + 1 for folder in folders for path in folder.glob("model_*.pt")), default=0)


def _iteration(checkpoint: Path) -> int:
    return int(checkpoint.stem[6:])


def _read(run: Run, metrics: list[str]) -> Result:
    cfg = run.cfg
    batch = cfg.num_envs * cfg.num_steps_per_env
    return read_result(run.task, run.variant.label, cfg.seed, _folders(cfg), batch, metrics)


def _folders(cfg: RunnerCfg) -> list[Path]:
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


def _some(names: list[str], most: int = 5) -> str:
    """Return the first names of a list, and how many more there are."""
    return "; ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
