# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""mjlab's tasks with our agents, under ids of their own: one id of mjlab's has one agent."""

from __future__ import annotations

import logging

import mjlab.tasks  # noqa: F401  registers mjlab's own tasks, if nobody has yet
from mjlab.rl import RslRlOnPolicyRunnerCfg
from mjlab.tasks.registry import list_tasks, load_env_cfg, load_rl_cfg, load_runner_cls, register_mjlab_task

from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.config.paper import find_paper_task
from rsl_dpcppo.tasks.mjlab.agent_cfg import to_dpcppo, to_peer

PAPER_TASKS = {
    "Mjlab-Velocity-Flat-Unitree-Go1": "Isaac-Velocity-Rough-Unitree-Go2",
    "Mjlab-Velocity-Rough-Unitree-Go1": "Isaac-Velocity-Rough-Unitree-Go2",
    "Mjlab-Velocity-Flat-Unitree-G1": "Isaac-Velocity-Rough-G1",
    "Mjlab-Velocity-Rough-Unitree-G1": "Isaac-Velocity-Rough-G1",
}
"""The paper's task that is closest to a task of mjlab's. It has none of mjlab's own."""

logger = logging.getLogger(__name__)


def suffixes() -> dict[str, str]:
    """Return what a task's id ends with here, by agent: -DPCPPO and the like."""
    return {name: f"-{name.upper()}" for name in ALGORITHMS}


def register() -> None:
    """Register every task that mjlab knows at this moment again, once with each agent.

    May be called again when more tasks are there. What cannot be derived is left out.
    """
    known = set(list_tasks())
    for task_id in sorted(known):
        if task_id.endswith(tuple(suffixes().values())):
            continue
        for name, suffix in suffixes().items():
            if task_id + suffix not in known:
                _register(task_id, name, task_id + suffix)


def _register(task_id: str, name: str, ours: str) -> None:
    try:
        rl_cfg = agent_cfg(task_id, name)
    except Exception as error:  # another plugin's configuration can fail anywhere, and the next tasks are to come
        logger.info("No %s: %s", ours, error)
        return
    register_mjlab_task(
        task_id=ours,
        env_cfg=load_env_cfg(task_id),
        play_env_cfg=load_env_cfg(task_id, play=True),
        rl_cfg=rl_cfg,
        runner_cls=load_runner_cls(task_id),
    )


def agent_cfg(task_id: str, name: str = "dpcppo") -> RslRlOnPolicyRunnerCfg:
    """Return an agent of a task of mjlab's, derived from its PPO: DP-CPPO with the paper's values where it has some.

    Args:
        task_id: The task's id.
        name: Name of the algorithm.

    Raises:
        ConfigError: If it cannot be derived; see :mod:`rsl_dpcppo.tasks.mjlab.agent_cfg`.
    """
    ppo = load_rl_cfg(task_id)
    if not ALGORITHMS[name].takes_every_encoder:
        return to_peer(ppo, name)
    cfg = to_dpcppo(ppo, name)
    task = find_paper_task(PAPER_TASKS.get(task_id, ""))
    if task:  # whose networks are the column's already
        cfg.num_steps_per_env = task.dpcppo.num_steps_per_env
        task.dpcppo.apply_to_algorithm(cfg.algorithm, score=name == "dpcppo")
    return cfg
