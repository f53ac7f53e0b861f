# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Gymnasium's continuous-control tasks and their agents."""

from __future__ import annotations

from functools import partial

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPOAlgorithmCfg, DPCPPORunnerCfg
from rsl_dpcppo.importing import deferred
from rsl_dpcppo.tasks.agents import for_cpu
from rsl_dpcppo.tasks.episodic import episodic_task
from rsl_dpcppo.tasks.gymnasium import names
from rsl_dpcppo.tasks.task import Task

_ENV = "rsl_dpcppo.tasks.gymnasium.env"

TITLE = "Gymnasium (and every id that you register)"
"""What the list of tasks calls this host."""


def dpcppo() -> DPCPPORunnerCfg:
    """Return DP-CPPO in a size for the CPU, with normalised observations: their scales differ a lot between tasks."""
    cfg = DPCPPORunnerCfg(algorithm=DPCPPOAlgorithmCfg(learning_rate=1e-3, entropy_coef=0.001))
    cfg.actor.obs_normalization = cfg.critic.obs_normalization = True
    return for_cpu(cfg, num_envs=32, num_steps_per_env=64)


def task_names() -> list[str]:
    """Return the registered ids of continuous-control tasks.

    Raises:
        ConfigError: If Gymnasium is missing or of an unsupported version.
    """
    return names.task_ids()


def find(name: str) -> Task:
    """Return a task by its Gymnasium id.

    Raises:
        ConfigError: If Gymnasium is there and does not know it.
    """
    names.check_name(name)
    return episodic_task(
        f"Gym-{name}",
        dpcppo=dpcppo,
        env_cfg=deferred(_ENV, "GymnasiumEnvCfg"),
        make_env=partial(deferred(_ENV, "GymnasiumEnv"), name),
        film=partial(deferred(_ENV, "film"), name),
    )
