# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""EnvPool's tasks and their agents."""

from __future__ import annotations

from functools import partial

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg
from rsl_dpcppo.importing import deferred
from rsl_dpcppo.tasks.agents import for_cpu
from rsl_dpcppo.tasks.dm_control import table_14
from rsl_dpcppo.tasks.envpool.names import check_name
from rsl_dpcppo.tasks.episodic import episodic_task
from rsl_dpcppo.tasks.task import Task

_ENV = "rsl_dpcppo.tasks.envpool.env"

TITLE = "EnvPool"
"""What the list of tasks calls this host."""

PORTS = {
    "BallInCupCatch-v1": "BallInCup",
    "CheetahRun-v1": "CheetahRun",
    "FingerSpin-v1": "FingerSpin",
    "PointMassEasy-v1": "PointMass",
    "ReacherEasy-v1": "ReacherEasy",
    "ReacherHard-v1": "ReacherHard",
    "WalkerRun-v1": "WalkerRun",
    "WalkerWalk-v1": "WalkerWalk",
}
"""EnvPool's ports of the paper's tasks, with their names in Playground."""


def dpcppo(name: str) -> DPCPPORunnerCfg:
    """Return DP-CPPO with the settings of Table 14, in a size for the CPU: few environments, small networks."""
    return for_cpu(table_14(PORTS.get(name, name)), num_envs=64, num_steps_per_env=32)


def task_names() -> list[str]:
    """Return EnvPool's continuous-control ids.

    Raises:
        ConfigError: If EnvPool is missing or of an unsupported version.
    """
    return deferred(_ENV, "task_ids")()


def find(name: str) -> Task:
    """Return a task by its EnvPool id.

    Raises:
        ConfigError: If EnvPool is there and does not know it.
    """
    check_name(name)
    return episodic_task(
        f"EnvPool-{name}",
        dpcppo=partial(dpcppo, name),
        env_cfg=deferred(_ENV, "EnvPoolEnvCfg"),
        make_env=partial(deferred(_ENV, "EnvPoolEnv"), name),
    )
