# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Compare agents over tasks, seeds and values of fields: run what is missing, then write table and learning curves."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from rich.console import Console

from rsl_dpcppo.cli.compare.arguments import parse_compare
from rsl_dpcppo.cli.compare.curves import draw, write_csv
from rsl_dpcppo.cli.compare.isaaclab import is_of_isaaclab, isaaclab_commands
from rsl_dpcppo.cli.compare.jobs import FAILED, Place, run_all
from rsl_dpcppo.cli.compare.machine import Machine
from rsl_dpcppo.cli.compare.plan import Run, Variant, agent_variants, make_runs
from rsl_dpcppo.cli.compare.processes import Resources
from rsl_dpcppo.cli.compare.progress import is_finished, make_job, run_folders
from rsl_dpcppo.cli.compare.results import Result, read_result
from rsl_dpcppo.cli.compare.table import format_table
from rsl_dpcppo.cli.dispatch import DIVERGED
from rsl_dpcppo.cli.run_cfg import LOG_ROOT
from rsl_dpcppo.errors import ConfigError


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
    if args.tune:
        _tune(args, runs, Console())
    elif runs:
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
    jobs = {run.title: make_job(run, args.device, console) for run in runs if not is_finished(run.cfg)}
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
        return
    # Not before: no other system than Ray's has all that it takes.
    from rsl_dpcppo.cli.compare.cluster import Cluster, connected

    with connected(args.ray, resources):
        yield Cluster(num_jobs, resources)


def _tune(args: argparse.Namespace, runs: list[Run], console: Console) -> None:
    """Try the variants, stop early what earns little, and show what was found.

    Raises:
        ConfigError: If the runs cannot be had, before any begins; or if some failed, once the others have ended.
    """
    from rsl_dpcppo.cli.compare.cluster import set_variables

    set_variables()
    from rsl_dpcppo.cli.compare.tuning import run_tune  # imports Ray

    table, failures = run_tune(args, runs, console)
    results = [result for run in runs if len((result := _read(run, args.metrics)).curve.iterations)]
    _write(args, table, results, "tune")
    if failures:
        raise ConfigError(f"{len(failures)} variants failed: {_some(failures)}")


def _show(args: argparse.Namespace, finished: list[Run], diverged: list[str]) -> None:
    """Write the table, the curves and their pictures."""
    labels = list(dict.fromkeys(run.variant.label for run in finished))
    results = [_read(run, args.metrics) for run in finished]
    results.sort(key=lambda result: (args.task.index(result.task), labels.index(result.agent)))
    table = format_table(results, reference=labels[0])
    if diverged:
        table += f"\nNot in the table, because a loss became infinite: {'; '.join(diverged)}.\n"
    _write(args, table, results, "table")


def _write(args: argparse.Namespace, table: str, results: list[Result], name: str) -> None:
    """Write a table and the curves of its runs, and show the table.

    Args:
        args: The command line.
        table: The table.
        results: The runs that have curves.
        name: What the table's file is called.
    """
    folder = LOG_ROOT / args.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(table, encoding="utf-8")
    if results:
        write_csv(results, folder / "curves.csv")
        draw(results, folder / "curves.png")
        for metric in args.metrics:
            draw(results, folder / f"curves_{metric}.png", metric)
    print(f"\n{table}\n[INFO] Table, curves and pictures: {folder.resolve()}")


def _read(run: Run, metrics: list[str]) -> Result:
    cfg = run.cfg
    batch = cfg.num_envs * cfg.num_steps_per_env
    return read_result(run.task, run.variant.label, cfg.seed, run_folders(cfg), batch, metrics)


def _some(names: list[str], most: int = 5) -> str:
    """Return the first names of a list, and how many more there are."""
    return "; ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
