# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The names that EnvPool knows. Imports no torch: a wrong name is to be found at once."""

from __future__ import annotations

from rsl_dpcppo.errors import ConfigError, did_you_mean
from rsl_dpcppo.importing import is_installed
from rsl_dpcppo.tasks.packages import check_package


def check_name(env_id: str) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` for a name that the installed EnvPool does not know."""
    if is_installed("envpool"):  # what no EnvPool is there for may still be exported
        import envpool

        known = envpool.list_all_envs()
        if env_id not in known:
            raise ConfigError(
                f"EnvPool has no environment '{env_id}'.{did_you_mean(env_id, known)} "
                "envpool.list_all_envs() lists them."
            )


def check_installed() -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless EnvPool 1.2 or newer is there."""
    check_package("EnvPool", "1.2")
