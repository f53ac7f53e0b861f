# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Where the tasks that this package launches come from: one module a host, looked up by the task's prefix."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rsl_dpcppo.errors import ConfigError, did_you_mean
from rsl_dpcppo.tasks.task import Task

HOSTS = {
    "": "rsl_dpcppo.tasks.embedded.tasks",
    "Playground-": "rsl_dpcppo.tasks.playground.tasks",
    "Gym-": "rsl_dpcppo.tasks.gymnasium.tasks",
    "EnvPool-": "rsl_dpcppo.tasks.envpool.tasks",
}
"""Modules by the prefix of their tasks. Each has TITLE, ``task_names()`` and ``find(name)``, both without the prefix
and raising ConfigError, for example where the host is not installed."""


LAUNCH_THEMSELVES = ("Isaac", "Mjlab")
"""What the tasks of hosts begin with that train and play their tasks themselves."""


def host_modules() -> dict[str, Any]:
    """Return the hosts' modules by prefix."""
    return {prefix: import_module(module) for prefix, module in HOSTS.items()}


def find_task(name: str) -> Task:
    """Return a task by name.

    Raises:
        ConfigError: If there is none, with the names that come near; or if its host is missing.
    """
    prefix = next((prefix for prefix in HOSTS if prefix and name.startswith(prefix)), "")
    module = import_module(HOSTS[prefix])
    if name.startswith(LAUNCH_THEMSELVES):
        raise ConfigError(
            f"'{name}' is a task of a host that trains and plays its tasks itself: of our commands, train and play "
            "take it. If this was one of them, install this package anew (pip install -e .), so that the host is found."
        )
    if not prefix and name not in module.task_names():
        known = module.task_names()
        hosts = ", ".join(f"{prefix}<name>" for prefix in HOSTS if prefix)
        raise ConfigError(
            f"There is no task '{name}'.{did_you_mean(name, known)} Tasks: {', '.join(known)}, {hosts}; "
            "rsl-dpcppo list-tasks lists them all. Train and play take a task of an Isaac Lab project with "
            "--isaaclab-path PROJECT."
        )
    return module.find(name.removeprefix(prefix))
