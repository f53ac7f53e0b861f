# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Whether what --logger names can be used here."""

from __future__ import annotations

import os

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.importing import is_installed

VARIABLES = {"neptune": ("NEPTUNE_API_TOKEN", "NEPTUNE_USERNAME")}
"""Environment variables that RSL-RL's writers ask for."""


def check_logger(logger: str) -> None:
    """Refuse a logging service that is not installed, or has no account.

    Args:
        logger: What the agent's field says: the name of the service's package, and of the extra that installs it.

    Raises:
        ConfigError: Says what to install, or to set.
    """
    if not is_installed(logger):
        raise ConfigError(f"logger is '{logger}', which is not installed here: pip install -e \".[{logger}]\"")
    missing = [name for name in VARIABLES.get(logger, ()) if name not in os.environ]
    if missing:
        raise ConfigError(f"logger is '{logger}', which needs the environment variable {' and '.join(missing)}.")
