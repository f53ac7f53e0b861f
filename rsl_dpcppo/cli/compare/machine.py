# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Trainings on this machine: how many at a time, and whether there is memory for one more."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from rsl_dpcppo.cli.compare.jobs import RUNNING, Job
from rsl_dpcppo.cli.compare.processes import GIB, SECONDS_BETWEEN_LOOKS, Process, Resources, thread_variables


class Machine:
    """This machine, as a :class:`rsl_dpcppo.cli.compare.jobs.Place`."""

    def __init__(self, num_at_a_time: int, resources: Resources) -> None:
        """Begin with no process.

        Args:
            num_at_a_time: Number of processes.
            resources: What each may take.
        """
        self.num_at_a_time = num_at_a_time
        self.is_stopping = False
        self._resources = resources
        self._variables = thread_variables(resources, threads_each(num_at_a_time))
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._num_begun = 0
        self._running: set[Process] = set()

    def run(self, job: Job, may_begin: Callable[[], bool]) -> int | None:
        """Run a job in a process of its own; see :class:`rsl_dpcppo.cli.compare.jobs.Place`."""
        while not self._take_room():
            if self._stopping.wait(SECONDS_BETWEEN_LOOKS):
                return None
        try:
            if not may_begin():
                return None
            job.state = RUNNING
            return self._run(job.title, job.command(), job.log)
        finally:
            with self._lock:
                self._num_begun -= 1

    def stop(self) -> None:
        """Tell all processes to end, and start no more."""
        with self._lock:
            self.is_stopping = True
            self._stopping.set()
            for process in self._running:
                process.terminate()

    def _run(self, title: str, command: list[str], log: Path) -> int | None:
        with self._lock:
            if self.is_stopping:
                return None
            process = Process(title, command, log, self._variables, self._resources.memory)
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def _take_room(self) -> bool:
        """Take the memory that one process more may need; whether there was so much, or none has begun."""
        limit = self._resources.memory
        with self._lock:
            has_room = not limit or not self._num_begun or self._free_memory(limit) >= limit
            self._num_begun += has_room
            return has_room

    def _free_memory(self, limit: float) -> float:
        """Return the GiB that are free once every process that has begun has grown to its limit."""
        still_to_come = limit * self._num_begun - sum(min(limit, process.memory()) for process in self._running)
        return psutil.virtual_memory().available / GIB - still_to_come


def threads_each(num_at_a_time: int) -> int:
    """Return the number of threads of each process with which they share this process's cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // num_at_a_time)
