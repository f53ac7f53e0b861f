# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Table of a comparison: returns over the seeds, time, memory and modes."""

from __future__ import annotations

import math

import numpy as np

from rsl_dpcppo.cli.compare.results import Evaluation, Result, by_agent, confidence_interval, interquartile_mean


def format_table(results: list[Result], reference: str) -> str:
    """Return a Markdown table: a row for each task, agent and inference policy, over the seeds.

    Columns for which no run has a value are left out.

    Args:
        results: The runs.
        reference: Agent whose time is 1.
    """
    rows = []
    for task, agent, runs in by_agent(results):
        decimals = _decimals([run for run in results if run.task == task])
        base = [run.iteration_seconds for run in results if (run.task, run.agent) == (task, reference)]
        time = np.median([run.iteration_seconds for run in runs])
        memory = [run.peak_memory for run in runs if run.peak_memory is not None]
        for policy in runs[0].evaluation:
            evaluations = [run.evaluation[policy] for run in runs]
            row = {
                "task": task,
                "agent": agent,
                "policy": policy,
                **_return_cells(np.array([evaluation.mean_return for evaluation in evaluations]), decimals),
                "as trained, last 100 episodes": _spread(np.array([run.curve.returns[-1] for run in runs]), decimals),
                f"time of an iteration / {reference}": f"{time / np.median(base):.2f}" if base else "",
                "peak memory [MiB]": f"{np.median(memory):.0f}" if memory else "",
                "least visited mode of each seed [%]": _least_shares(evaluations),
            }
            rows.append(row)
    titles = [title for title in rows[0] if any(row[title] for row in rows)]
    lines = [titles, ["---"] * len(titles), *([row[title] for title in titles] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _return_cells(returns: np.ndarray, decimals: int) -> dict[str, str]:
    """Return the cells of the returns of all seeds. Shape of the returns: [num_seeds]."""
    middle = f"{interquartile_mean(returns):.{decimals}f}"
    if len(returns) > 1:
        low, high = confidence_interval(returns, interquartile_mean)
        middle += f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return {
        "return of whole episodes, mean ± std over seeds": _spread(returns, decimals),
        "interquartile mean [95 % interval]": middle,
        "each seed": " ".join(f"{value:.{decimals}f}" for value in returns),
    }


def _spread(values: np.ndarray, decimals: int) -> str:
    """Return mean and standard deviation over the seeds; nothing where a seed has no value. Shape: [num_seeds]."""
    if np.isnan(values).any():
        return ""
    return f"{values.mean():.{decimals}f}" + (f" ± {values.std(ddof=1):.{decimals}f}" if len(values) > 1 else "")


def _least_shares(evaluations: list[Evaluation]) -> str:
    """Return the share of the least visited mode of each seed in percent, a dash where it is not known."""
    if not any(evaluation.modes for evaluation in evaluations):
        return ""
    shares = [min(evaluation.modes.values(), default=None) for evaluation in evaluations]
    return " ".join("–" if share is None else f"{100.0 * share:.0f}" for share in shares)


def _decimals(runs: list[Result]) -> int:
    """Return the decimals with which the largest return of a task has four digits, at most three."""
    returns = [abs(evaluation.mean_return) for run in runs for evaluation in run.evaluation.values()]
    largest = max((value for value in returns if math.isfinite(value)), default=0.0)
    return max(0, 3 - math.floor(math.log10(max(1.0, largest))))
