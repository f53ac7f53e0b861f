# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Errors that a user can mend, each with a message that says how."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A field of the configuration is unknown, of the wrong type or out of range."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, or does not belong to this agent."""


class MissingCheckpointError(CheckpointError):
    """There is no checkpoint of the name that was asked for."""


class ExportError(RuntimeError):
    """An exported policy does not act as the live one."""


class EnvError(ValueError):
    """An environment gives what RSL-RL cannot take."""


class LaunchError(RuntimeError):
    """A host that launches itself cannot be launched here."""


class StoppedError(RuntimeError):
    """A signal ended a training between two iterations."""

    def __init__(self, signal: int, message: str) -> None:
        """Keep the signal's number."""
        super().__init__(message)
        self.signal = signal


class RankError(RuntimeError):
    """Another process of a training has ended."""


class NonFiniteError(FloatingPointError):
    """A loss became infinite or not a number."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the known name closest to the given one, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def check_fields(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse fields that nobody reads.

    Args:
        owner: Name of the class that the fields are for.
        given: Names that the user set.
        known: Names that exist.

    Raises:
        ConfigError: Names the first unknown field, the closest known one and all that exist.
    """
    known = sorted(known)
    for name in given:
        if name not in known:
            raise ConfigError(
                f"{owner} has no field '{name}'.{did_you_mean(name, known)} Its fields are: {', '.join(known)}."
            )
