# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Checks of single fields. Each error names the field, its value and what would be right."""

from __future__ import annotations

from math import inf
from typing import Any

from rsl_dpcppo.errors import ConfigError

LARGEST_COUNT = 2**24
"""More than any simulator runs at once, and than anything is done in one iteration."""

LONGEST_NAME = 150
"""Bytes of a folder's name: what file systems take, less the date that goes before it."""

ACTIVATIONS = {
    "elu": "ELU",
    "selu": "SELU",
    "relu": "ReLU",
    "crelu": "CELU",
    "lrelu": "LeakyReLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "gelu": "GELU",
    "swish": "SiLU",
    "mish": "Mish",
    "identity": "Identity",
}
"""RSL-RL's names of activations, with those of torch.nn."""


def check_noise(name: str, value: Any) -> str:
    """Return the noise setting as text: "random", "zero", or a seed in digits.

    Raises:
        ConfigError: If it is none of these.
    """
    text = str(value)
    is_seed = text.isascii() and text.isdigit() and len(text) < 19  # what a generator takes as a seed
    if isinstance(value, bool) or not (text in ("random", "zero") or is_seed):
        raise ConfigError(f"{name} is {value!r}; it must be 'random', 'zero' or a seed (a whole number from 0).")
    return text


def check_activation(name: str, value: Any) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless RSL-RL knows the activation, in any case of letters."""
    if not isinstance(value, str) or value.lower() not in ACTIVATIONS:
        raise ConfigError(f"{name} is {value!r}; it must be one of RSL-RL's names: {', '.join(ACTIVATIONS)}.")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless the value is one of the choices."""
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(repr(choice) for choice in choices)}.")


def check_bool(name: str, value: Any) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless the value is True or False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} is {value!r}; it must be True or False.")


def check_int(name: str, value: Any, *, minimum: int, maximum: int = LARGEST_COUNT, even: bool = False) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless the value is a whole number in the range."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or not minimum <= value <= maximum or (even and value % 2):
        kind = "an even" if even else "a whole"
        raise ConfigError(f"{name} is {value!r}; it must be {kind} number, {minimum} or more and at most {maximum}.")


def check_float(
    name: str,
    value: Any,
    *,
    minimum: float,
    below: float = inf,
    maximum: float = inf,
    minimum_excluded: bool = False,
    may_be_infinite: bool = False,
) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless the value is a number in the range."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and may_be_infinite and value == inf:
        return
    in_range = is_number and minimum <= value < below and value <= maximum
    if not in_range or (minimum_excluded and value == minimum):
        lower = f"above {minimum}" if minimum_excluded else f"{minimum} or more"
        upper = "" if below == inf else f" and below {below}"
        upper = upper if maximum == inf else f" and at most {maximum}"
        raise ConfigError(f"{name} is {value!r}; it must be a number, {lower}{upper}.")


def check_widths(name: str, value: Any, minimum_number: int = 1) -> list[int]:
    """Return the widths of a network's hidden layers as a list.

    Raises:
        ConfigError: If they are no whole numbers from 1, or fewer than the minimum.
    """
    widths = list(value) if isinstance(value, (list, tuple)) else None
    are_whole = all(isinstance(width, int) and not isinstance(width, bool) for width in widths or ())
    are_right = are_whole and all(1 <= width <= LARGEST_COUNT for width in widths or ())
    if widths is None or len(widths) < minimum_number or not are_right:
        number = "at least one whole number" if minimum_number else "whole numbers, or an empty one"
        raise ConfigError(
            f"{name} is {value!r}; it must be a list of {number}, each 1 or more and at most {LARGEST_COUNT}."
        )
    return widths


def check_frequencies(name: str, value: Any) -> list[float]:
    """Return the first and the last of a range of frequencies as a list.

    Raises:
        ConfigError: If they are no two numbers above 0.
    """
    ends = list(value) if isinstance(value, (list, tuple)) else []
    if len(ends) != 2 or any(isinstance(x, bool) or not isinstance(x, (int, float)) or not 0 < x < inf for x in ends):
        raise ConfigError(f"{name} is {value!r}; it must be two numbers above 0: the first and the last frequency.")
    return [float(x) for x in ends]


def check_name(name: str, value: Any, *, may_be_empty: bool = False, may_be_nested: bool = False) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless the value names a folder below the one that it is for.

    Args:
        name: Name of the field.
        value: Its value.
        may_be_empty: Whether it may be empty.
        may_be_nested: Whether it may be several folders, one in the other.
    """
    if value == "" and may_be_empty:
        return
    parts = value.split("/") if isinstance(value, str) and may_be_nested else [value]
    for part in parts:
        is_name = isinstance(part, str) and part not in ("", ".", "..") and part.isprintable()
        if not is_name or set(part) & set("/\\") or len(part.encode()) > LONGEST_NAME:
            raise ConfigError(
                f"{name} is {value!r}; it must be the name of a folder, of {LONGEST_NAME} bytes at most, without "
                f"'..'{'' if may_be_nested else ' and /'}."
            )


def check_no_entropy(algorithm: str, entropy_coef: float) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` for an entropy bonus where the algorithm has none."""
    if entropy_coef != 0.0:
        raise ConfigError(f"entropy_coef is {entropy_coef!r}; {algorithm} has no entropy term: it must be 0.0.")
