# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""MuJoCo Playground's tasks and their agents."""

from __future__ import annotations

from functools import partial

from rsl_dpcppo.hosts import episodes
from rsl_dpcppo.hosts.agents import make_agents
from rsl_dpcppo.hosts.dm_control import table_14
from rsl_dpcppo.hosts.playground import env as playground
from rsl_dpcppo.hosts.task import Task

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
    return Task(
        name=f"Playground-{name}",
        agents=make_agents(f"Playground-{name}", partial(table_14, name)),
        env_cfg=playground.PlaygroundEnvCfg,
        make_env=lambda cfg, num_envs, device, seed: playground.PlaygroundEnv(name, num_envs, device, seed, cfg),
        report=episodes.report,
        film=lambda cfg, policy, num_steps, device, seed: playground.film(name, cfg, policy, num_steps, device, seed),
    )
