# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a training shows: a progress bar in a terminal, a line an iteration in a file, or all that RSL-RL says."""

from __future__ import annotations

import contextlib
import datetime
import re
import sys
import time
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rsl_dpcppo.bridge.logs import Iteration

Show = Callable[[Iteration], None]
"""Shows an iteration that has ended."""

LINE = re.compile(r"Learning iteration (?P<number>\d+)/(?P<total>\d+)(?:  mean reward (?P<reward>\S+) )?")
"""How the line of an iteration begins, for those who read a training's output. RSL-RL's own says the number alone."""


@contextlib.contextmanager
def console(verbose: bool) -> Iterator[Show]:
    """Give what shows the iterations of a training, and close it after them.

    Args:
        verbose: Whether RSL-RL's own table of each iteration is shown.
    """
    if verbose:
        yield lambda iteration: print(iteration.table, flush=True)
    elif not sys.stdout.isatty():
        yield _lines()
    else:
        with Progress(
            TextColumn("Learning iteration"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("mean reward {task.fields[reward]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            refresh_per_second=4,
        ) as bar:
            yield _bar(bar)


def _bar(bar: Progress) -> Show:
    def show(iteration: Iteration) -> None:
        if not bar.task_ids:
            bar.add_task("", total=iteration.total, completed=iteration.number, reward="")
        bar.update(bar.task_ids[0], completed=iteration.number + 1, reward=_reward(iteration))

    return show


def _lines() -> Show:
    began, first = time.monotonic(), -1

    def show(iteration: Iteration) -> None:
        nonlocal first
        first = iteration.number if first < 0 else first
        seconds = (time.monotonic() - began) / (iteration.number + 1 - first)
        left = datetime.timedelta(seconds=round(seconds * (iteration.total - iteration.number - 1)))
        # RSL-RL's words and numbers, which scripts look for.
        print(
            f"Learning iteration {iteration.number}/{iteration.total}  mean reward {_reward(iteration)}  "
            f"{seconds:.2f} s each  ETA {left}",
            flush=True,
        )

    return show


def _reward(iteration: Iteration) -> str:
    """Return the mean reward as RSL-RL prints it, a small one with more digits; a dash before an episode has ended."""
    if iteration.mean_reward is None:
        return "-"
    return f"{iteration.mean_reward:.{2 if abs(iteration.mean_reward) >= 1.0 else 4}f}"
