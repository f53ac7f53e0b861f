# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A training's files on their way from the node where it runs to where the comparison was started."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MOST_BYTES = 64 * 2**20
"""How much is sent at a time, at least one file."""

SECONDS_UNTIL_SETTLED = 1.0
"""How long a file must have been left alone, unless it is one that is written whole or only grows."""


@dataclass(frozen=True)
class Piece:
    """A file, or what was added to its end."""

    path: str
    """Where it is below the working directory."""
    content: bytes
    is_addition: bool
    """Whether the content belongs at the end of what was sent before."""


@dataclass
class Outbox:
    """What of a folder is still to be sent. Files whose names begin with a dot are not finished, and stay."""

    root: Path
    """Working directory of the training."""
    folder: str
    """What is sent, below it."""
    _sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each file its time and size when it was sent."""

    def leave_out_what_is_there(self) -> None:
        """Send of the files that are there what they become, and not what they are."""
        self._sent.update({path: self._look(path) for path in self._files()})

    def take(self, has_ended: bool) -> tuple[list[Piece], bool]:
        """Return what has changed, and whether this is all.

        Args:
            has_ended: Whether nobody writes any more.
        """
        # Files that only grow come last to be read and first to be sent: a checkpoint's iterations are in the logs that
        # arrive with it or before it.
        whole: list[Piece] = []
        room, is_all = MOST_BYTES, True
        names = self._files()
        for path in sorted(names, key=lambda path: (_is_checkpoint(path), path)):
            if _only_grows(path):
                continue
            with contextlib.suppress(FileNotFoundError):  # a training that cannot begin removes its folder
                now = self._look(path)
                if self._sent.get(path) == now or not (has_ended or _is_checkpoint(path) or _is_settled(now)):
                    continue
                if room < MOST_BYTES and now[1] > room:
                    is_all = False
                    break
                whole.append(Piece(path, (self.root / path).read_bytes(), is_addition=False))
                self._sent[path] = now
                room -= now[1]
        additions = []
        for path in filter(_only_grows, names):
            with contextlib.suppress(FileNotFoundError):
                before = self._sent.get(path, (0, 0))[1]
                with (self.root / path).open("rb") as file:
                    file.seek(before)
                    content = file.read()
                if content:
                    additions.append(Piece(path, content, is_addition=True))
                    self._sent[path] = (0, before + len(content))
        return [*additions, *whole], is_all

    def _files(self) -> list[str]:
        found = []
        for folder, _, names in os.walk(self.root / self.folder):
            below = Path(folder).relative_to(self.root)
            found += [(below / name).as_posix() for name in names if not name.startswith(".")]
        return sorted(found)

    def _look(self, path: str) -> tuple[int, int]:
        status = (self.root / path).stat()
        return status.st_mtime_ns, status.st_size


class Inbox:
    """Where what a training sends is written. A file is there whole, or as it was before.

    A node's clock and time zone may be others. The training's folders have the time of this machine, so that the newest
    is the last by name.
    """

    def __init__(self, log: Path) -> None:
        """Begin.

        Args:
            log: The training's output, ``<folder>/<run_name>.log``, below the working directory.
        """
        self._folder, self._run_name = log.parent, log.stem
        self._names: dict[str, str] = {}

    def put(self, pieces: Iterable[Piece]) -> None:
        """Write what has arrived."""
        for piece in pieces:
            path = self._place(piece.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            if piece.is_addition:
                with path.open("ab") as file:
                    file.write(piece.content)
                continue
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                unfinished.write_bytes(piece.content)
                os.replace(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        """Return where a file belongs here."""
        path = PurePosixPath(name).relative_to(self._folder.as_posix())
        if len(path.parts) == 1:
            return self._folder / path
        run, *rest = path.parts
        if run not in self._names:
            self._names[run] = self._new_name()
        return self._folder.joinpath(self._names[run], *rest)

    def _new_name(self) -> str:
        """Return the name of a new run, as training gives it; see :func:`rsl_dpcppo.cli.runs.new_run`."""
        first = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + f"_{self._run_name}"
        name, number = first, 1
        while (self._folder / name).exists() or name in self._names.values():
            number += 1
            name = f"{first}_{number}"
        return name


def read_files(paths: Iterable[Path]) -> list[Piece]:
    """Return files below the working directory, to be sent to a node."""
    return [Piece(path.as_posix(), path.read_bytes(), is_addition=False) for path in paths]


def _is_checkpoint(path: str) -> bool:
    """Return whether a file is written beside its place and moved there; it is there whole."""
    return re.search(r"/model_\d+\.pt$", path) is not None


def _only_grows(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".log") or name.startswith("events.out.tfevents.")


def _is_settled(looked: tuple[int, int]) -> bool:
    return time.time() - looked[0] / 1e9 > SECONDS_UNTIL_SETTLED
