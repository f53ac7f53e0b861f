# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Finished runs, read from their logs, and statistics over their seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import stats
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

REWARD, RATE = "Train/mean_reward", "Perf/total_fps"
"""What RSL-RL calls the mean return of the last 100 training episodes, and environment steps per second."""

LOSS = "Loss/{}"
"""What it calls what the algorithm reports."""


@dataclass
class Curve:
    """One run's learning curve. Shape of each array: [num_iterations]."""

    iterations: np.ndarray
    """Number of iterations at the end of each one."""
    batch: int
    """Environment steps of an iteration."""
    seconds: np.ndarray
    """Seconds of collection and learning up to then: without start, compilation and evaluation."""
    returns: np.ndarray
    """Mean return of the last 100 training episodes; NaN before the first one ended."""
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    """Other figures that were logged, by name; NaN where a run did not log one."""

    @property
    def steps(self) -> np.ndarray:
        """Environment steps at the end of each iteration."""
        return self.batch * self.iterations


@dataclass
class Evaluation:
    """What an inference policy does in whole episodes after training."""

    mean_return: float
    """Mean undiscounted return."""
    modes: dict[str, float] = field(default_factory=dict)
    """Share of the episodes that ends in each of the task's modes; empty for a task that names none."""


@dataclass
class Result:
    """One finished run."""

    task: str
    agent: str
    seed: int
    curve: Curve
    evaluation: dict[str, Evaluation]
    """Evaluation of each inference policy."""
    peak_memory: float | None = None
    """Most memory of the training process in MiB; None where the run did not record it."""

    @property
    def iteration_seconds(self) -> float:
        """Median time of an iteration."""
        return float(np.median(np.diff(self.curve.seconds, prepend=0.0)))


def read_result(
    task: str, agent: str, seed: int, folders: Iterable[Path], batch: int, metrics: Sequence[str] = ()
) -> Result:
    """Read a run from its logs.

    Args:
        task: Name of the task.
        agent: What the table calls the agent.
        seed: Seed of the run.
        folders: The run's folder, then those in which it was continued.
        batch: Environment steps of an iteration.
        metrics: Names of other figures to read, as logged among the losses.
    """
    scalars: dict[str, dict[int, float]] = {name: {} for name in (REWARD, RATE, *map(LOSS.format, metrics))}
    evaluation: dict[str, Evaluation] = {}
    memory: list[float | None] = []
    for folder in folders:
        log = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        known = log.Tags()["scalars"]
        for name, points in scalars.items():
            points.update({event.step: event.value for event in (log.Scalars(name) if name in known else ())})
        if (path := folder / "evaluation.json").is_file():
            rows = json.loads(path.read_text())
            evaluation = {name: Evaluation(row["mean_return"], row.get("modes", {})) for name, row in rows.items()}
        if (path := folder / "resources.json").is_file():
            memory.append(json.loads(path.read_text())["peak_memory_mib"])
    logged = sorted(scalars[RATE])
    values = {name: np.array([points.get(i, np.nan) for i in logged]) for name, points in scalars.items()}
    curve = Curve(
        iterations=np.array(logged, dtype=int) + 1,
        batch=batch,
        seconds=np.cumsum(batch / np.maximum(values[RATE], 1.0)),
        returns=values[REWARD],
        metrics={name: values[LOSS.format(name)] for name in metrics},
    )
    return Result(task, agent, seed, curve, evaluation, max(filter(None, memory), default=None))


def by_agent(results: list[Result]) -> list[tuple[str, str, list[Result]]]:
    """Return the runs of each task and agent, which differ in their seed."""
    keys = dict.fromkeys((run.task, run.agent) for run in results)
    return [(*key, [run for run in results if (run.task, run.agent) == key]) for key in keys]


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the mean of what is left without the lowest and the highest quarter of the values, each rounded down."""
    return stats.trim_mean(values, 0.25, axis=axis)


def confidence_interval(
    values: np.ndarray, statistic: Callable[..., np.ndarray], num_resamples: int = 10_000
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % percentile bootstrap interval of a statistic over the seeds.

    Args:
        values: Values of two seeds or more. Shape: [..., num_seeds].
        statistic: Takes values and, as ``axis``, the axis to reduce.
        num_resamples: How often the seeds are drawn anew.

    Returns:
        Lower and upper bounds. Shape of each: [...].
    """
    found = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=num_resamples,
        batch=100,  # bounds the memory that long curves take
        vectorized=True,
        axis=-1,
        method="percentile",
        random_state=0,
    )
    return found.confidence_interval.low, found.confidence_interval.high
