# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""MuJoCo Playground's tasks and their agents."""

from __future__ import annotations

from functools import partial

from rsl_dpcppo.tasks.dm_control import table_14
from rsl_dpcppo.tasks.episodes import episodic_task
from rsl_dpcppo.tasks.playground import env as playground
from rsl_dpcppo.tasks.task import Task

TITLE = "MuJoCo Playground"
"""What the list of tasks calls this host."""


def task_names() -> list[str]:
    """Return the names of Playground's tasks.

    Raises:
        ConfigError: If Playground is missing or of an unsupported version.
    """
    return playground.task_names()


def find(name: str) -> Task:
    """Return a task of Playground. The paper's eight have the settings of its Table 14, others what these share."""
    return episodic_task(
        f"Playground-{name}",
        dpcppo=partial(table_14, name),
        env_cfg=playground.PlaygroundEnvCfg,
        make_env=partial(playground.PlaygroundEnv, name),
        film=partial(playground.film, name),
    )
