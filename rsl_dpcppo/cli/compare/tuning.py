# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Values of fields tried with Ray Tune: ASHA stops what earns little, and the end says which to take.

A trial is a variant with all its seeds, and its return is their mean. It runs on this machine, takes nothing of it, and
has its trainings on the cluster's nodes, as :mod:`rsl_dpcppo.cli.compare.cluster` has them.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.util import get_current_placement_group, get_node_ip_address
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from rich.console import Console
from rich.live import Live

from rsl_dpcppo.cli.compare.cluster import LOCAL, Cluster, connected, line_of, ray_resources
from rsl_dpcppo.cli.compare.jobs import FAILED, RUNNING, Job, progress_table, stopped_by_signals, take_to_end
from rsl_dpcppo.cli.compare.output import num_iterations, read_returns
from rsl_dpcppo.cli.compare.plan import Run
from rsl_dpcppo.cli.compare.processes import Resources
from rsl_dpcppo.cli.compare.progress import OUTCOMES, is_finished, make_job
from rsl_dpcppo.cli.dispatch import DIVERGED
from rsl_dpcppo.errors import ConfigError

REDUCTION = 3
"""One in so many goes on from each rung of ASHA to the next, which is at so many times its iterations."""

SECONDS_OF_A_STEP = 1.0
"""How long a trial waits for its trainings until Tune may stop it."""

FINISHED, STOPPED, DIVERGED_STATE = OUTCOMES[0], "stopped early", OUTCOMES[DIVERGED]
"""How a trial ends, unless it fails."""


@dataclass(frozen=True)
class Plan:
    """What a trial trains."""

    runs: tuple[Run, ...]
    """A variant with each seed."""
    device: str | None
    """Where they run; None leaves it to them."""
    resources: Resources
    """What each takes."""
    grace: int
    """Iterations from one report to the next."""
    folder: str
    """Working directory of the comparison."""

    @property
    def iterations(self) -> int:
        """Iterations of each run."""
        return self.runs[0].cfg.max_iterations


class Trial(tune.Trainable):
    """A trial, on the machine where the comparison was started."""

    def setup(self, config: dict[str, Any], plans: Sequence[Plan]) -> None:
        """Begin with what is there already."""
        self._plan = plans[config["trial"]]
        os.chdir(self._plan.folder)
        quiet = Console(quiet=True)
        self._jobs = [make_job(run, self._plan.device, quiet) for run in self._plan.runs]
        for job, run in zip(self._jobs, self._plan.runs, strict=True):
            job.status = 0 if is_finished(run.cfg) else job.status
        self._left = [job for job in self._jobs if job.status != 0]
        node = PlacementGroupSchedulingStrategy(get_current_placement_group())
        self._cluster = Cluster(len(self._left), self._plan.resources, node)
        self._pool = ThreadPoolExecutor(len(self._jobs))
        self._working: list[Future[None]] = []
        self._result: dict[str, Any] = {"iteration": 0, "mean_return": math.nan}

    def step(self) -> dict[str, Any]:
        """Report the next point of the curve, once it is there, else the last one again."""
        target = min(self._result["iteration"] + self._plan.grace, self._plan.iterations)
        if not self._working and not self._has_reached(target):
            tell = Console(quiet=True).print
            self._working = [
                self._pool.submit(take_to_end, job, self._cluster, lambda: True, tell) for job in self._left
            ]
        end = time.monotonic() + SECONDS_OF_A_STEP
        while not (is_there := self._has_reached(target)) and time.monotonic() < end:
            if any(job.status == DIVERGED for job in self._jobs):
                return {**self._result, "outcome": DIVERGED_STATE, "done": True}
            if why := self._failure():
                return {**self._result, "outcome": FAILED, "why": why, "done": True}
            time.sleep(0.1)
        if is_there:
            returns = [read_returns(job.log).get(target, math.nan) for job in self._jobs]
            mean = sum(returns) / len(returns)
            self._result = {"iteration": target, "mean_return": mean, "done": target == self._plan.iterations}
        return {**self._result, "outcome": FINISHED}

    def cleanup(self) -> None:
        """Let the trainings end their iterations, and have what they saved."""
        self._cluster.stop()
        self._pool.shutdown()

    def _has_reached(self, target: int) -> bool:
        """Return whether all trainings have made so many iterations, and have ended if these are all of them."""
        going_on = [job for job in self._jobs if job.status != 0]
        is_last = target == self._plan.iterations
        return not any(is_last or num_iterations(job.log) < target for job in going_on)

    def _failure(self) -> str:
        """Return why a training failed; empty if none did."""
        for future in self._working:
            if future.done() and (error := future.exception()) is not None:
                return line_of(error, 0)
        return next((f"see {job.log}" for job in self._jobs if job.state == FAILED), "")


class Watch(tune.Callback):
    """What the table of all trials shows, and what they have reported."""

    def __init__(self, rows: list[Job], iterations: int) -> None:
        """Begin with trials that wait.

        Args:
            rows: A row of the table for each trial.
            iterations: Iterations of each run.
        """
        self._rows, self._iterations = rows, iterations
        self.reports: list[tuple[int, float]] = [(0, math.nan)] * len(rows)
        """Iteration and mean return that each trial reported last."""
        self.failures: list[str] = []
        """What trials failed of."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show that a trial has begun."""
        self._rows[trial.config["trial"]].state = RUNNING

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Keep what a trial reported."""
        self.reports[trial.config["trial"]] = (result["iteration"], result["mean_return"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show how a trial has ended."""
        index, result = trial.config["trial"], trial.last_result
        row, outcome = self._rows[index], result.get("outcome", FINISHED)
        is_early = outcome == FINISHED and self.reports[index][0] < self._iterations
        row.state = STOPPED if is_early else outcome
        if outcome == FAILED:
            self.failures.append(f"{row.title}: {result['why']}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show that a trial has failed itself, of which Tune has told."""
        row = self._rows[trial.config["trial"]]
        row.state = FAILED
        self.failures.append(f"{row.title}: Ray's messages above say why")


class Stop(tune.Stopper):
    """Ends all trials once it is told to."""

    is_asked = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Leave each trial to the others."""
        return self.is_asked

    def stop_all(self) -> bool:
        """Return whether all are to end."""
        return self.is_asked


def run_tune(args: argparse.Namespace, runs: Sequence[Run], console: Console) -> tuple[str, list[str]]:
    """Try all variants, and return a table of them, the best first, and what failed.

    Args:
        args: The command line.
        runs: The runs of one task.
        console: Where the progress is shown.

    Raises:
        ConfigError: If the runs cannot be had on the cluster.
        StoppedError: If this process is told to end.
    """
    resources = Resources(args.cores, args.gpus, args.memory)
    plans = _plans(args, runs, resources)
    iterations = plans[0].iterations
    rows = [Job(plan.runs[0].variant.label, list, make_job(plan.runs[0], None, console).log) for plan in plans]
    watch, stop = Watch(rows, iterations), Stop()
    cores = (resources.cores or 1) * args.seeds
    address = args.ray or LOCAL
    with (
        tempfile.TemporaryDirectory(prefix="rsl_dpcppo_tune_", ignore_cleanup_errors=True) as folder,
        connected(address, resources, max(os.cpu_count() or 1, cores)),
        stopped_by_signals(),
        Live(get_renderable=lambda: progress_table(rows), console=console, refresh_per_second=2),
        ThreadPoolExecutor(1) as pool,
    ):
        _check_room(resources, args.seeds)
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(Trial, plans=plans), _bundles(resources, args.seeds)),
            param_space={"trial": tune.grid_search(list(range(len(plans))))},
            tune_config=tune.TuneConfig(
                scheduler=ASHAScheduler(
                    time_attr="iteration",
                    metric="mean_return",
                    mode="max",
                    max_t=iterations,
                    grace_period=plans[0].grace,
                    reduction_factor=REDUCTION,
                ),
                trial_dirname_creator=lambda trial: f"trial_{trial.config['trial']}",
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=folder,
                verbose=0,
                callbacks=[watch],
                stop=stop,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the trainings save themselves
            ),
        )
        fitting = pool.submit(tuner.fit)
        try:
            fitting.result()
        except BaseException:
            stop.is_asked = True
            try:
                fitting.result()
            except BaseException:
                ray.shutdown()  # the trainings end with it, and so does Tune
                raise
            raise
    return format_trials(rows, watch.reports), watch.failures


def grace_period(iterations: int, given: int | None) -> int:
    """Return the iterations after which ASHA compares first: those given, or a ninth of all."""
    return min(iterations, given or math.ceil(iterations / REDUCTION**2))


def format_trials(rows: Sequence[Job], reports: Sequence[tuple[int, float]]) -> str:
    """Return a Markdown table of the trials, and which to take: those that went further first, then by their return.

    Args:
        rows: The trials.
        reports: Iteration and mean return that each reported last.
    """

    def key(index: int) -> tuple[bool, int, float]:
        iteration, value = reports[index]
        return (rows[index].state != FINISHED, -iteration, math.inf if math.isnan(value) else -value)

    order = sorted(range(len(rows)), key=key)
    lines = ["| agent | outcome | iterations | mean return of training |", "| --- | --- | --- | --- |"]
    lines += [f"| {rows[i].title} | {rows[i].state} | {reports[i][0]} | {_number(reports[i][1])} |" for i in order]
    best = rows[order[0]]
    advice = f"To take: {best.title}" if best.state == FINISHED else "None has made all its iterations."
    return "\n".join([*lines, "", advice, ""])


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.5g}"


def _plans(args: argparse.Namespace, runs: Sequence[Run], resources: Resources) -> list[Plan]:
    """Return a plan for each variant.

    Raises:
        ConfigError: If the runs differ in their iterations, or one cannot be continued.
    """
    if len({run.cfg.max_iterations for run in runs}) > 1:
        raise ConfigError("--tune compares runs of as many iterations: say with --iterations how many.")
    for run in runs:
        is_finished(run.cfg)
    grace, folder = grace_period(runs[0].cfg.max_iterations, args.grace), str(Path.cwd())
    variants = dict.fromkeys(run.variant for run in runs)
    return [
        Plan(tuple(run for run in runs if run.variant == variant), args.device, resources, grace, folder)
        for variant in variants
    ]


def _bundles(resources: Resources, num_seeds: int) -> tune.PlacementGroupFactory:
    """Return what a trial takes: next to nothing here, where its files come, and a node's for each seed."""
    taken = {name: amount for name, amount in ray_resources(resources).items() if amount}
    return tune.PlacementGroupFactory([{f"node:{get_node_ip_address()}": 0.001}, *[taken] * num_seeds])


def _check_room(resources: Resources, num_seeds: int) -> None:
    """Refuse trials that do not fit on the whole cluster, for which Tune would wait forever.

    Raises:
        ConfigError: Says what a trial takes.
    """
    has = ray.cluster_resources()
    if any(has.get(name, 0) < num_seeds * need for name, need in ray_resources(resources).items()):
        raise ConfigError(
            f"A trial trains its {num_seeds} seeds at a time, {resources} each, more than the Ray cluster has: ask for "
            "fewer --seeds, or less for each."
        )
