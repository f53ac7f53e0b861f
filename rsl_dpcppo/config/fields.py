# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Groups of fields that check themselves."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from rsl_dpcppo.errors import ConfigError

BEFORE = "before"
"""Key of the value, in a field's metadata, that runs have which were saved when there was no such field."""


def before(value: Any) -> dict[str, Any]:
    """Return a field's metadata: what runs had before there was such a field, where its default is another."""
    return {BEFORE: value}


ONE_PROCESS = "one_process"
"""Key of the value, in a field's metadata, that a training on several processes cannot have."""


def one_process(value: Any) -> dict[str, Any]:
    """Return a field's metadata: the value of it that takes a training on one process."""
    return {ONE_PROCESS: value}


def check_several_processes(name: str, fields: Any) -> None:
    """Check that several processes can train with a group of fields.

    Args:
        name: What the group is called: "agent.algorithm".
        fields: The group, a dataclass.

    Raises:
        ConfigError: Names the first field that they cannot train with.
    """
    for field in dataclasses.fields(fields):
        value = getattr(fields, field.name)
        if ONE_PROCESS in field.metadata and value == field.metadata[ONE_PROCESS]:
            raise ConfigError(
                f"{name}.{field.name} is {value!r}, which takes one process; with --distributed it must be "
                f"{field.default!r}."
            )


@dataclass
class Fields:
    """The end of the chain of checks.

    Each group checks its own fields in ``__post_init__`` and calls the next one's, so that a configuration made of
    several groups is checked as a whole.
    """

    def __post_init__(self) -> None:
        """Check nothing."""
