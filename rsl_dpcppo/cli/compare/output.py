# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How far a training is, by its output: a file that it writes a line an iteration to."""

from __future__ import annotations

import math
import re
from pathlib import Path

from rsl_dpcppo.cli.console import LINE

END = 8192
"""Bytes at the end of an output in which its last iteration is looked for."""


def last_iteration(log: Path) -> str:
    """Return the iteration that the end of a training's output names, such as "12/200"; empty if it names none."""
    line = _last(log)
    return f"{line['number']}/{line['total']}" if line else ""


def num_iterations(log: Path) -> int:
    """Return how many iterations a training has made by the end of its output; 0 if that names none."""
    line = _last(log)
    return int(line["number"]) + 1 if line else 0


def read_returns(log: Path) -> dict[int, float]:
    """Return the mean return of training by the number of iterations made.

    It is not a number before an episode has ended.
    """
    if not log.is_file():
        return {}
    lines = LINE.finditer(log.read_text(encoding="utf-8", errors="replace"))
    rewards = {int(line["number"]) + 1: line["reward"] for line in lines if line["reward"]}
    return {number: math.nan if reward == "-" else float(reward) for number, reward in rewards.items()}


def last_line(log: Path) -> str:
    """Return the last line of a training's output; empty if there is none."""
    return _end(log).strip().rpartition("\n")[2]


def _last(log: Path) -> re.Match[str] | None:
    *_, last = [None, *LINE.finditer(_end(log))]
    return last


def _end(log: Path) -> str:
    """Return the last bytes of a file as text; empty if there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - END))
        return file.read().decode(errors="replace")
