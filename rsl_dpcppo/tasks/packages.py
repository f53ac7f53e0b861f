# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Which simulators are installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

from rsl_dpcppo.errors import ConfigError


def check_package(title: str, minimum: str) -> None:
    """Refuse a simulator that is missing or too old.

    Args:
        title: Its name, which in lower case is that of its package and of the extra that installs it.
        minimum: The oldest version that is supported.

    Raises:
        ConfigError: Says what was found, and how to install what is missing.
    """
    package = title.lower()
    try:
        installed = version(package)
    except PackageNotFoundError:
        installed = "0"
    if Version(installed) < Version(minimum):
        found = "is not installed" if installed == "0" else f"{installed} is too old"
        raise ConfigError(f'{title} {found}; {minimum} or newer comes with pip install -e ".[{package}]".')
