# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Several trainings at a time, wherever they run: their restarts, their end, and a table of how far they are."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rsl_dpcppo.bridge.stopping import SIGNALS
from rsl_dpcppo.cli.compare.output import last_iteration, last_line
from rsl_dpcppo.cli.compare.processes import OVER_MEMORY
from rsl_dpcppo.errors import StoppedError

MOST_RESTARTS = 3
"""How often a run that a signal killed, such as the system's when memory is short, is taken up again."""

WAITING, RUNNING, FAILED = "waiting", "running", "failed"
"""States of a job; others are its outcomes."""


@dataclass
class Job:
    """One training."""

    title: str
    """What the table calls it."""
    command: Callable[[], list[str]]
    """Makes the command that takes it to its end from where it is, and says so."""
    log: Path
    """Where what it prints is appended."""
    outcomes: dict[int, str] = field(default_factory=dict)
    """What exit statuses mean, where it is not :data:`FAILED`."""
    needs: Callable[[], list[Path]] = list
    """Returns the files that the command reads of what was trained before."""
    state: str = WAITING
    """What the table says."""
    restarts: int = 0
    """How often it was taken up again."""
    status: int = -1
    """Exit status, once it has ended."""


class Place(Protocol):
    """Where trainings run."""

    num_at_a_time: int
    """How many jobs it is given at a time."""

    @property
    def is_stopping(self) -> bool:
        """Whether :meth:`stop` was called."""

    def run(self, job: Job, may_begin: Callable[[], bool]) -> int | None:
        """Run a job to its end, and return its exit status, that of a signal where the place was lost to it.

        Args:
            job: The job; its state is :data:`RUNNING` once it has begun.
            may_begin: Asked when there is room for the job.

        Returns:
            None if the job was not begun, because it may not or because all are told to end.
        """

    def stop(self) -> None:
        """Tell all jobs to end, and begin no more. A training ends its iteration first, unless told a second time."""


def run_all(jobs: Sequence[Job], place: Place, console: Console) -> None:
    """Run jobs to their ends, and fill in their status. What ends this process ends them, after their iterations.

    Args:
        jobs: The jobs, in the order in which they begin.
        place: Where they run.
        console: Where the table is shown.

    Raises:
        StoppedError: If this process is told to end; a second signal does not wait for the iterations.
    """

    def may_begin(job: Job) -> bool:
        states = [other.state for other in jobs]
        # What is wrong with the first is wrong with all, if none has gone well yet.
        return job.restarts > 0 or FAILED not in states or bool({*states} - {WAITING, RUNNING, FAILED})

    def work(job: Job) -> None:
        take_to_end(job, place, lambda: may_begin(job), partial(console.print, markup=False, soft_wrap=True))

    with (
        stopped_by_signals(),
        Live(get_renderable=lambda: progress_table(jobs), console=console, refresh_per_second=2),
        ThreadPoolExecutor(place.num_at_a_time) as pool,
    ):
        futures = [pool.submit(work, job) for job in jobs]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
        except BaseException:
            place.stop()
            try:
                pool.shutdown(cancel_futures=True)
            except BaseException:
                place.stop()
                raise
            raise


def take_to_end(job: Job, place: Place, may_begin: Callable[[], bool], tell: Callable[[str], None]) -> None:
    """Run a job to its end, taking it up again where a signal killed it, and fill in its status.

    Args:
        job: The job.
        place: Where it runs.
        may_begin: Asked when there is room for it.
        tell: Tells the user what happened.
    """
    while True:
        status = place.run(job, may_begin)
        if status is None:
            return
        job.status = status
        if place.is_stopping or not was_killed(status) or job.restarts == MOST_RESTARTS:
            break
        job.restarts += 1
        job.state = WAITING
        tell(f"[WARNING] {job.title}: killed; taken up again.")
    job.state = job.outcomes.get(job.status, FAILED)
    if job.status == OVER_MEMORY:
        tell(last_line(job.log))


def was_killed(status: int) -> bool:
    """Return whether an exit status is a signal's: killed by it, or stopped between two iterations (128 + signal)."""
    return status < 0 or status - 128 in SIGNALS


def progress_table(jobs: Sequence[Job]) -> Table:
    """Return a table of all jobs, those that run first."""
    ended = sum(job.state not in (WAITING, RUNNING) for job in jobs)
    table = Table("run", "state", "iteration", title=f"{ended} of {len(jobs)} runs have ended", title_justify="left")
    for job in sorted(jobs, key=lambda job: job.state != RUNNING):  # the end may lie below the terminal's edge
        state = job.state + (f", restarted {job.restarts}x" if job.restarts else "")
        table.add_row(job.title, state, last_iteration(job.log) if job.state == RUNNING else "")
    return table


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise a StoppedError where a signal asks this process to end."""

    def stop(number: int, _: FrameType | None) -> None:
        raise StoppedError(number, f"{signal.Signals(number).name}: stopped. The same command goes on from here.")

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {each: signal.signal(each, stop) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
