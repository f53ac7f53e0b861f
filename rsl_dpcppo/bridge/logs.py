# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What RSL-RL's writers need, and what they can show beside numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Iteration:
    """An iteration that has ended."""

    number: int
    """Its number, from 0; a resumed run goes on counting."""

    total: int
    """The number after the last one's."""

    mean_reward: float | None
    """Mean return of the last 100 episodes; None before one has ended."""

    table: str
    """What RSL-RL prints."""


@dataclass(init=False, repr=False, eq=False)
class LoggedCfg(dict[str, Any]):
    """An environment's dictionary as W&B's and Neptune's writers ask for it: with ``to_dict``, or as a dataclass."""

    env: dict[str, Any]

    def __init__(self, cfg: dict[str, Any]) -> None:
        """Take over a dictionary."""
        super().__init__(cfg)
        self.env = cfg

    def to_dict(self) -> dict[str, Any]:
        """Return the dictionary."""
        return dict(self)


def upload_figures(writer: Any, folder: Path, iteration: int) -> None:
    """Hand a folder's pictures to TensorBoard, and with its videos to a logging service in the ways that it has.

    Args:
        writer: A writer of RSL-RL's, which is TensorBoard's with a service's methods.
        folder: The folder.
        iteration: Iteration that they show.
    """
    from matplotlib.image import imread

    for path in sorted(folder.rglob("*.png")):
        writer.add_image(f"Report/{path.stem}", imread(path)[..., :3], iteration, dataformats="HWC")
        if hasattr(writer, "save_file"):
            writer.save_file(str(path))
    for path in sorted(folder.rglob("*.mp4")):
        if hasattr(writer, "save_video"):
            writer.save_video(path, iteration)
        elif hasattr(writer, "save_file"):
            writer.save_file(str(path))
    writer.flush()
