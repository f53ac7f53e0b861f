# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Several trainings at a time on one machine, each a process of its own, and a table of how far they are."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rsl_dpcppo.bridge.stopping import SIGNALS
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
    state: str = WAITING
    """What the table says."""
    restarts: int = 0
    """How often it was taken up again."""
    status: int = -1
    """Exit status, once it has ended."""


class Children:
    """Processes that can be ended together, whichever thread waits for them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.are_stopping = False

    def run(self, command: Sequence[str], log: Path, environment: dict[str, str]) -> int:
        """Run a command to its end, its output appended to a file, and return its exit status."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            with self._lock:
                if self.are_stopping:
                    return -signal.SIGTERM
                # In a session of its own: Ctrl-C reaches this process alone, which passes it on once. A second signal
                # would end a training within its iteration.
                process = subprocess.Popen(
                    command, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
                )
                self._running.add(process)
            try:
                return process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)

    def stop(self) -> None:
        """Tell all to end, and start no more. A training ends its iteration first, unless it is told a second time."""
        with self._lock:
            self.are_stopping = True
            for process in self._running:
                process.terminate()


def run_all(jobs: Sequence[Job], num_at_a_time: int, console: Console) -> None:
    """Run jobs to their ends, and fill in their status. What ends this process ends them, after their iterations.

    Args:
        jobs: The jobs, in the order in which they begin.
        num_at_a_time: Number of processes.
        console: Where the table is shown.

    Raises:
        StoppedError: If this process is told to end; a second signal does not wait for the iterations.
    """
    children, environment = Children(), {"OMP_NUM_THREADS": str(threads_each(num_at_a_time)), **os.environ}

    def work(job: Job) -> None:
        states = [other.state for other in jobs]
        if FAILED in states and not {*states} - {WAITING, RUNNING, FAILED}:
            return  # none has gone well yet: what is wrong with the first is wrong with all
        while True:
            job.state = RUNNING
            job.status = children.run(job.command(), job.log, environment)
            if children.are_stopping or not was_killed(job.status) or job.restarts == MOST_RESTARTS:
                break
            job.restarts += 1
            console.print(f"[WARNING] {job.title}: killed by a signal; taken up again.", markup=False)
        job.state = job.outcomes.get(job.status, FAILED)

    with (
        _stopped_by_signals(),
        Live(get_renderable=lambda: progress_table(jobs), console=console, refresh_per_second=2),
        ThreadPoolExecutor(num_at_a_time) as pool,
    ):
        futures = [pool.submit(work, job) for job in jobs]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
        except BaseException:
            children.stop()
            try:
                pool.shutdown(cancel_futures=True)
            except BaseException:
                children.stop()
                raise
            raise


def threads_each(num_at_a_time: int) -> int:
    """Return the number of threads of each process with which they share this process's cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // num_at_a_time)


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


def last_iteration(log: Path, tail: int = 8192) -> str:
    """Return the iteration that the end of a training's output names, such as "12/200"; empty if it names none.

    Args:
        log: The file.
        tail: How many bytes of its end are looked at.
    """
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - tail))
        found = re.findall(rb"Learning iteration (\d+/\d+)", file.read())
    return found[-1].decode() if found else ""


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
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
