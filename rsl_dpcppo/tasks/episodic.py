# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks that are judged by the returns of their episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg
from rsl_dpcppo.importing import deferred
from rsl_dpcppo.tasks.agents import make_agents
from rsl_dpcppo.tasks.task import Film, Task


def episodic_task(
    name: str,
    dpcppo: Callable[[], DPCPPORunnerCfg],
    env_cfg: Callable[[], Any],
    make_env: Callable[..., Any],
    film: Callable[..., Film] | None = None,
) -> Task:
    """Return a task that is judged by the returns of its episodes, with the agents of :func:`make_agents`.

    Args:
        name: Name of the task, with its host's prefix.
        dpcppo: Makes the configuration of DP-CPPO.
        env_cfg: Makes the default configuration of the environment.
        make_env: (num_envs, device, seed, configuration) -> environment.
        film: As the task's.
    """
    return Task(
        name=name,
        agents=make_agents(name.replace("/", "-").replace(":", "-"), dpcppo),  # which name folders
        env_cfg=env_cfg,
        make_env=lambda cfg, num_envs, device, seed: make_env(num_envs, device, seed, cfg),
        report=deferred("rsl_dpcppo.tasks.episodes", "report"),
        film=film,
    )
