# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Groups of fields that check themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BEFORE = "before"
"""Key of the value, in a field's metadata, that runs have which were saved when there was no such field."""


def before(value: Any) -> dict[str, Any]:
    """Return a field's metadata: what runs had before there was such a field, where its default is another."""
    return {BEFORE: value}


@dataclass
class Fields:
    """The end of the chain of checks.

    Each group checks its own fields in ``__post_init__`` and calls the next one's, so that a configuration made of
    several groups is checked as a whole.
    """

    def __post_init__(self) -> None:
        """Check nothing."""
