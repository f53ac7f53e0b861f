# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a node of a Ray cluster does for a training. Imported there: no torch, and Ray itself is not needed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from rsl_dpcppo import __version__
from rsl_dpcppo.cli.compare.processes import Process, Resources, thread_variables
from rsl_dpcppo.cli.compare.transfer import Outbox, Piece

PREFIX = f"rsl_dpcppo_{os.getuid()}_"
"""How the folders of trainings begin, in the system's folder for what is temporary."""

DIES_WITH_PARENT = (
    "import ctypes, os, sys\n"
    "getattr(ctypes.CDLL(None), 'prctl', print)(1, 9)\n"  # PR_SET_PDEATHSIG: SIGKILL. Linux alone has it.
    "os.getppid() == int(sys.argv[1]) or sys.exit(1)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])"
)
"""Runs a command that ends when this process does, however it does."""


class Training:
    """A training in a folder of its own, whose files are sent to whoever started it."""

    def __init__(self) -> None:
        """Make the folder."""
        remove_abandoned()
        self._root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _lock(self._root)

    def version(self) -> str:
        """Return the version of this package here."""
        return __version__

    def begin(
        self, title: str, command: Sequence[str], python: str, log: str, files: Sequence[Piece], resources: Resources
    ) -> None:
        """Start the training.

        Args:
            title: What the user reads.
            command: Its command.
            python: What the command calls the interpreter, in whose place comes that of this node.
            log: Where its output is appended, below the working directory.
            files: What it reads of what was trained before.
            resources: What it may take.
        """
        for file in files:
            path = self._root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        self._outbox = Outbox(self._root, str(Path(log).parent))
        self._outbox.leave_out_what_is_there()
        command = [sys.executable if part == python else part for part in command]
        watched = [sys.executable, "-c", DIES_WITH_PARENT, str(os.getpid()), *command]
        variables = thread_variables(resources, 1) | ({} if resources.gpus else {"CUDA_VISIBLE_DEVICES": ""})
        self._process = Process(title, watched, self._root / log, variables, resources.memory, self._root)
        self._num_stops = 0

    def poll(self, num_stops: int) -> tuple[list[Piece], int | None]:
        """Return what has changed among the files, and the exit status once the training has ended and all was sent.

        Args:
            num_stops: How often the training has been told to end.
        """
        while self._num_stops < num_stops:
            self._process.terminate()
            self._num_stops += 1
        status = self._process.poll()
        pieces, is_all = self._outbox.take(status is not None)
        return pieces, status if is_all else None

    def close(self) -> None:
        """End the training if it still runs, and remove the folder."""
        if hasattr(self, "_process"):
            self._process.kill()
        shutil.rmtree(self._root, ignore_errors=True)
        self._lock.close()


def remove_abandoned(age: float = 60.0) -> None:
    """Remove the folders of trainings whose process is gone.

    Args:
        age: Seconds that a folder must have; a new one may not be locked yet.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is locked, another one removes it, or it is not ours
            if time.time() - folder.stat().st_mtime > age:
                with _lock(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> IO[bytes]:
    """Lock a folder until the file that is returned is closed, or this process ends.

    Raises:
        OSError: If another process has locked it.
    """
    file = (folder / ".lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
