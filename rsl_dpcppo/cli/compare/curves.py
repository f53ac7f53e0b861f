# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Learning curves of a comparison over the seeds, as CSV and as a picture."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from rsl_dpcppo.cli.compare.results import Result, by_agent, confidence_interval

# Colours that readers with any common colour blindness can tell apart: those of Okabe and Ito but for yellow, which
# is hard to see on white, and Tol's wine.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
_LINE_STYLES = ("-", "--", ":")
"""One after the other, each for as many agents as there are colours."""

_NUM_RESAMPLES = 1000


def write_csv(results: list[Result], path: Path) -> None:
    """Write every point of every curve, those of the metrics in columns of their own."""
    metrics = list(results[0].curve.metrics)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("task", "agent", "seed", "iteration", "environment_steps", "seconds", "mean_return", *metrics))
        for run in results:
            curve = run.curve
            points = zip(curve.iterations, curve.steps, curve.seconds, curve.returns, strict=True)
            for i, (iteration, steps, seconds, value) in enumerate(points):
                more = (f"{curve.metrics[name][i]:.6g}" for name in metrics)
                row = (run.task, run.agent, run.seed, iteration, steps, f"{seconds:.3f}", f"{value:.4f}", *more)
                writer.writerow(row)


def draw(results: list[Result], path: Path, metric: str = "") -> None:
    """Draw the mean over the seeds and its 95 % bootstrap interval, against iterations and against time.

    Where the agents of a task differ in the environment steps of an iteration, these take the place of the iterations.

    Args:
        results: The runs.
        path: PNG file to write.
        metric: Which of the curves' metrics is drawn; empty for the return.
    """
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(run.task for run in results))
    agents = list(dict.fromkeys(run.agent for run in results))
    pairs = math.ceil(len(tasks) / 4)
    rows, columns = 2 * pairs, math.ceil(len(tasks) / pairs)
    is_flat = len(tasks) == 1  # its two plots stand side by side
    width, height = (rows, columns) if is_flat else (columns, rows)
    figure = Figure(figsize=(3.6 * width + 0.4, 2.7 * height + 0.4), dpi=120, layout="constrained")
    axes = figure.subplots(height, width, squeeze=False)
    axes = axes.T if is_flat else axes
    for unused in axes.flat:
        unused.set_visible(False)
    lines = {}
    for task, agent, runs in by_agent(results):
        row, column = divmod(tasks.index(task), columns)
        style, color = divmod(agents.index(agent), len(_COLORS))
        look = {"color": _COLORS[color], "linestyle": _LINE_STYLES[style % len(_LINE_STYLES)]}
        length = min(len(run.curve.returns) for run in runs)
        curves = [run.curve.metrics[metric] if metric else run.curve.returns for run in runs]
        returns = _smooth(np.stack([curve[:length] for curve in curves]))
        known = ~np.isnan(returns).any(axis=0)
        seconds = np.mean([run.curve.seconds[:length] for run in runs], axis=0)
        progress, label = runs[0].curve.iterations[:length], "iterations"
        if len({run.curve.batch for run in results if run.task == task}) > 1:
            progress, label = runs[0].curve.steps[:length] / 1e6, "million environment steps"
        has_band = len(runs) > 1 and known.any()
        if has_band:
            low, high = confidence_interval(returns[:, known].T, np.mean, _NUM_RESAMPLES)
        for i, (x, x_label) in enumerate(((progress[known], label), (seconds[known], "seconds"))):
            plot = axes[2 * row + i, column]
            plot.set_visible(True)
            (lines[agent],) = plot.plot(x, returns[:, known].mean(axis=0), label=agent, linewidth=1.6, **look)
            if has_band:
                plot.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
            plot.set_xlabel(x_label, fontsize=9)
            plot.set_title(task, fontsize=10)
            plot.tick_params(labelsize=8)
            plot.grid(alpha=0.3)
    for row_axes in axes:
        row_axes[0].set_ylabel(metric or "return while training", fontsize=9)
    # An entry takes 0.6 inches and 0.075 for each letter: long names would not fit side by side.
    entry = 0.6 + 0.075 * max(map(len, lines))
    figure.legend(
        handles=list(lines.values()),
        loc="outside lower center",
        ncols=max(1, min(3 * width if is_flat else 2 * width, int(figure.get_figwidth() / entry))),
        fontsize=9,
        frameon=False,
    )
    figure.savefig(path)


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
