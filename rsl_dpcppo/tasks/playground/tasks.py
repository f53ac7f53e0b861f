# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""MuJoCo Playground's tasks and their agents."""

from __future__ import annotations

from functools import partial

from rsl_dpcppo.importing import deferred
from rsl_dpcppo.tasks.dm_control import table_14
from rsl_dpcppo.tasks.episodic import episodic_task
from rsl_dpcppo.tasks.task import Task

_ENV = "rsl_dpcppo.tasks.playground.env"

TITLE = "MuJoCo Playground"
"""What the list of tasks calls this host."""


def task_names() -> list[str]:
    """Return the names of Playground's tasks.

    Raises:
        ConfigError: If Playground is missing or of an unsupported version.
    """
    return deferred(_ENV, "task_names")()


def find(name: str) -> Task:
    """Return a task of Playground. The paper's eight have the settings of its Table 14, others what these share."""
    return episodic_task(
        f"Playground-{name}",
        dpcppo=partial(table_14, name),
        env_cfg=deferred(_ENV, "PlaygroundEnvCfg"),
        make_env=partial(deferred(_ENV, "PlaygroundEnv"), name),
        film=partial(deferred(_ENV, "film"), name),
    )
