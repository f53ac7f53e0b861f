# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The names that Gymnasium knows. Imports no torch: a wrong name is to be found at once."""

from __future__ import annotations

from typing import Any

from rsl_dpcppo.errors import ConfigError, did_you_mean
from rsl_dpcppo.importing import is_installed
from rsl_dpcppo.tasks.packages import check_package

CONTINUOUS = (
    "Pendulum-v1",
    "MountainCarContinuous-v0",
    "LunarLanderContinuous-v3",
    "BipedalWalker-v3",
    "BipedalWalkerHardcore-v3",
)
"""Gymnasium's own ids with continuous actions and flat observations, besides those of MuJoCo."""


def check_name(env_id: str) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` for a name that the installed Gymnasium does not know."""
    # "module:name" is registered by the module; and what no Gymnasium is there for may still be exported.
    if ":" not in env_id and is_installed("gymnasium"):
        import gymnasium

        try:
            gymnasium.spec(env_id)
        except gymnasium.error.Error:
            raise unknown(env_id) from None


def unknown(env_id: str) -> ConfigError:
    """Return the error for a name that Gymnasium does not know."""
    import gymnasium

    return ConfigError(
        f"Gymnasium has no environment '{env_id}'.{did_you_mean(env_id, gymnasium.registry)} "
        "One that another package registers is named 'module:name'."
    )


def task_ids() -> list[str]:
    """Return the registered ids of continuous-control tasks: Gymnasium's newest, and all that others registered.

    Left out are those of Isaac Lab, which cannot be made without a configuration. What others registered may have other
    actions: only making an environment would tell.

    Raises:
        ConfigError: If Gymnasium is not installed.
    """
    check_installed()
    import gymnasium

    def is_task(name: str, spec: Any) -> bool:
        entry_point = spec.entry_point
        module = entry_point if isinstance(entry_point, str) else getattr(entry_point, "__module__", "")
        if "env_cfg_entry_point" in spec.kwargs:
            return False
        if module.startswith("gymnasium.envs.mujoco"):
            return name.endswith("-v5")
        return name in CONTINUOUS or not module.startswith("gymnasium.")

    return [name for name, spec in gymnasium.registry.items() if is_task(name, spec)]


def check_installed() -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless Gymnasium is there, new enough to restart by masks."""
    check_package("Gymnasium", "1.1")
