# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Learning curves of runs, read from their logs: over seeds, against environment steps and against time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

REWARD, RATE = "Train/mean_reward", "Perf/total_fps"
"""What RSL-RL calls the mean return of the last 100 training episodes, and environment steps per second."""

# Colours of Okabe and Ito, which readers with any common colour blindness can tell apart.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass
class Curve:
    """One run's learning curve. Shape of each array: [num_iterations]."""

    steps: np.ndarray
    """Environment steps at the end of each iteration."""
    seconds: np.ndarray
    """Seconds of collection and learning up to then: without start, compilation and evaluation."""
    returns: np.ndarray
    """Mean return of the last 100 training episodes; NaN before the first one ended."""


@dataclass
class Result:
    """One finished run."""

    task: str
    agent: str
    seed: int
    curve: Curve
    evaluation: dict[str, float]
    """Mean return of each inference policy."""

    @property
    def iteration_seconds(self) -> float:
        """Median time of an iteration."""
        return float(np.median(np.diff(self.curve.seconds, prepend=0.0)))


def read_result(task: str, agent: str, seed: int, folders: Iterable[Path], batch: int) -> Result:
    """Read a run from its logs.

    Args:
        task: Name of the task.
        agent: Name of the agent.
        seed: Seed of the run.
        folders: The run's folder, then those in which it was continued.
        batch: Environment steps of an iteration.
    """
    rewards: dict[int, float] = {}
    rates: dict[int, float] = {}
    evaluation: dict[str, float] = {}
    for folder in folders:
        log = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        known = log.Tags()["scalars"]
        for name, values in ((REWARD, rewards), (RATE, rates)):
            values.update({event.step: event.value for event in (log.Scalars(name) if name in known else ())})
        path = folder / "evaluation.json"
        if path.is_file():
            evaluation = {name: row["mean_return"] for name, row in json.loads(path.read_text()).items()}
    iterations = sorted(rates)
    curve = Curve(
        steps=batch * (np.array(iterations) + 1.0),
        seconds=np.cumsum([batch / max(rates[i], 1.0) for i in iterations]),
        returns=np.array([rewards.get(i, np.nan) for i in iterations]),
    )
    return Result(task, agent, seed, curve, evaluation)


def format_table(results: list[Result], reference: str) -> str:
    """Return a Markdown table: a row for each task and inference policy, over the seeds.

    Args:
        results: The runs.
        reference: Agent whose time is 1.
    """
    lines = [
        "| task | agent | policy | return of whole episodes, mean ± std over seeds | each seed | "
        f"time of an iteration / {reference} |",
        "|---|---|---|---|---|---|",
    ]
    for task, agent, runs in _groups(results):
        times = [run.iteration_seconds for run in runs]
        base = [run.iteration_seconds for run in results if (run.task, run.agent) == (task, reference)]
        ratio = f"{np.median(times) / np.median(base):.2f}" if base else ""
        for policy in runs[0].evaluation:
            returns = [run.evaluation[policy] for run in runs]
            spread = f" ± {np.std(returns, ddof=1):.1f}" if len(returns) > 1 else ""
            each = " ".join(f"{value:.0f}" for value in returns)
            lines.append(f"| {task} | {agent} | {policy} | {np.mean(returns):.1f}{spread} | {each} | {ratio} |")
    return "\n".join(lines) + "\n"


def write_csv(results: list[Result], path: Path) -> None:
    """Write every point of every curve."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("task", "agent", "seed", "environment_steps", "seconds", "mean_return"))
        for run in results:
            for steps, seconds, value in zip(run.curve.steps, run.curve.seconds, run.curve.returns, strict=True):
                writer.writerow((run.task, run.agent, run.seed, int(steps), f"{seconds:.3f}", f"{value:.4f}"))


def draw(results: list[Result], path: Path) -> None:
    """Draw the mean over the seeds and a band of one standard deviation, against steps and against time."""
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(run.task for run in results))
    agents = list(dict.fromkeys(run.agent for run in results))
    columns = min(4, len(tasks))
    rows = 2 * -(-len(tasks) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.4, 2.7 * rows), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for unused in axes.flat:
        unused.set_visible(False)
    for task, agent, runs in _groups(results):
        row, column = divmod(tasks.index(task), columns)
        color = _COLORS[agents.index(agent) % len(_COLORS)]
        length = min(len(run.curve.steps) for run in runs)
        returns = _smooth(np.stack([run.curve.returns[:length] for run in runs]))
        steps = runs[0].curve.steps[:length] / 1e6
        seconds = np.mean([run.curve.seconds[:length] for run in runs], axis=0)
        mean, spread = returns.mean(axis=0), returns.std(axis=0, ddof=min(1, len(runs) - 1))
        for i, (x, label) in enumerate(((steps, "million environment steps"), (seconds, "seconds"))):
            plot = axes[2 * row + i, column]
            plot.set_visible(True)
            plot.plot(x, mean, color=color, label=agent, linewidth=1.6)
            plot.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0)
            plot.set_xlabel(label, fontsize=9)
            plot.set_title(task, fontsize=10)
            plot.tick_params(labelsize=8)
            plot.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=9)
    for row_axes in axes:
        row_axes[0].set_ylabel("return while training", fontsize=9)
    figure.savefig(path)


def _groups(results: list[Result]) -> list[tuple[str, str, list[Result]]]:
    """Return the runs of each task and agent, which differ in their seed."""
    keys = dict.fromkeys((run.task, run.agent) for run in results)
    return [(*key, [run for run in results if (run.task, run.agent) == key]) for key in keys]


def _smooth(returns: np.ndarray, share: float = 0.03) -> np.ndarray:
    """Average over a window of a share of the curve, before and after each point; NaN where nothing is known."""
    width = max(1, round(share * returns.shape[1]))
    smooth = np.empty_like(returns)
    for i in range(returns.shape[1]):
        window = returns[:, max(0, i - width) : i + width + 1]
        known = ~np.isnan(window)
        sums, counts = np.where(known, window, 0.0).sum(axis=1), known.sum(axis=1)
        smooth[:, i] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return smooth
