# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A training's process, and what it may take of a machine. Imports neither torch nor Ray: nodes of a cluster use it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

OVER_MEMORY = 137
"""Exit status of a process that took more memory than it may, as a shell says of the signal that ends it."""

SECONDS_BETWEEN_LOOKS = 0.5
"""How often the memory of a process is looked at."""

GIB = 2**30


@dataclass(frozen=True)
class Resources:
    """What one run takes."""

    cores: int | None = None
    """Its threads, and the CPUs that Ray counts for it; None for a share of this machine, and one of Ray's."""
    gpus: float = 0.0
    """GPUs that Ray counts for it."""
    memory: float | None = None
    """GiB that it may take; None for no limit."""

    def __str__(self) -> str:
        """Say it as a user would."""
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        memory = f", {self.memory:g} GiB" if self.memory else ""
        return f"{self.cores or 1} CPU{gpus}{memory}"


def thread_variables(resources: Resources, threads: int) -> dict[str, str]:
    """Return the environment variables that set the number of threads: --cores, else the user's own, else a default.

    Args:
        resources: What the run may take.
        threads: The default.
    """
    name = "OMP_NUM_THREADS"
    return {name: str(resources.cores or os.environ.get(name) or threads)}


class Process:
    """A process that writes into a file, and is ended where it takes more memory than it may."""

    def __init__(
        self,
        title: str,
        command: Sequence[str],
        log: Path,
        variables: Mapping[str, str],
        memory: float | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start it.

        Args:
            title: What the user reads.
            command: The command.
            log: Where its output is appended.
            variables: Environment variables beside this process's.
            memory: GiB that it and its children may take; None for no limit.
            folder: Where it runs; None for this process's working directory.
        """
        self._title, self._log, self._limit = title, log, memory
        self._is_over_memory = False
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            # In a session of its own: Ctrl-C reaches this process alone, which passes it on once. A second signal
            # would end a training within its iteration.
            self._process = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **variables},
                cwd=folder,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Return the exit status at the end."""
        if self._limit is None:
            return self._process.wait()
        while (status := self.poll()) is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return status

    def poll(self) -> int | None:
        """Return the exit status; None while it runs. Ends it if it takes too much memory."""
        if self._limit is not None and self._process.poll() is None and self.memory() > self._limit:
            self._end_for_memory(self.memory())
        status = self._process.poll()
        return OVER_MEMORY if self._is_over_memory and status is not None else status

    def memory(self) -> float:
        """Return the GiB that it and its children take now."""
        taken = 0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):  # it may have ended meanwhile
                taken += process.memory_info().rss
        return taken / GIB

    def terminate(self) -> None:
        """Ask it to end. A training ends its iteration and saves it, unless it is asked twice."""
        self._process.terminate()

    def kill(self) -> None:
        """End it and its children at once."""
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()

    def _end_for_memory(self, taken: float) -> None:
        # Not asked to end: until its iteration has ended, it would take more.
        self._is_over_memory = True
        self.kill()
        with self._log.open("a", encoding="utf-8") as file:
            file.write(
                f"\n[ERROR] {self._title}: ended, because it took {taken:.2f} GiB of memory, and --memory is "
                f"{self._limit:g}. A larger --memory, or a smaller --num_envs, goes on from its last checkpoint.\n"
            )

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.Error:
            return []
