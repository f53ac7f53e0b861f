# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What reads the command lines, before torch is imported."""

from __future__ import annotations

from collections.abc import Callable

from rsl_dpcppo.cli.arguments import Parsed, parse_export, parse_play, parse_train
from rsl_dpcppo.cli.compare.arguments import parse_compare

PARSERS: dict[str, Callable[[list[str]], Parsed]] = {
    "train": parse_train,
    "play": parse_play,
    "export": parse_export,
    "compare": parse_compare,
}
"""What reads the command line of a command."""
