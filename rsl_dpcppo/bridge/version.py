# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Which RSL-RL is installed. Only this folder asks for it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

SUPPORTED = "rsl-rl-lib 3.0.1 to 3.3.x (Isaac Lab 2.3) and 5.0.1 to 5.5.x (Isaac Lab 3.0, mjlab)"


def find_version() -> Version:
    """Return the installed version of rsl-rl-lib.

    Raises:
        ImportError: If it is missing or not supported; the message has the supported range.
    """
    try:
        found = Version(version("rsl-rl-lib"))
    except PackageNotFoundError:
        raise ImportError(f"rsl-dpcppo needs {SUPPORTED}; none is installed. Try: pip install rsl-rl-lib") from None
    release = found.release[:2]
    if not ((Version("3.0.1") <= found and release <= (3, 3)) or (Version("5.0.1") <= found and release <= (5, 5))):
        raise ImportError(f"rsl-rl-lib {found} is installed; rsl-dpcppo supports {SUPPORTED}.")
    return found


VERSION = find_version()
"""The installed version."""

GENERATION = VERSION.major
"""3: policy classes that hold actor and critic. 5: separate actor and critic models."""
