# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The embedded tasks and their agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsl_dpcppo.config import (
    DPCPPOAlgorithmCfg,
    DPCPPORunnerCfg,
    FlowActorCfg,
    GaussianActorCfg,
    NetworkCfg,
    PPOAlgorithmCfg,
    PPORunnerCfg,
)
from rsl_dpcppo.envs.multi_goal import MultiGoalEnv
from rsl_dpcppo.envs.multi_goal_report import Policy, report
from rsl_dpcppo.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class EmbeddedTask:
    """A task of this package."""

    make_env: Callable[..., Any]
    """(num_envs, device, seed) -> RSL-RL's vectorised environment."""
    agents: dict[str, Callable[[], PPORunnerCfg | DPCPPORunnerCfg]]
    """Makes the configuration of each agent, by the agent's name."""
    rivals: dict[str, str]
    """The agent that each agent's report is compared with."""
    report: Callable[[dict[str, Policy], Path, str], None]
    """(policies by name, folder, device): evaluates the policies, prints a table and writes pictures and figures."""


def multi_goal_dpcppo() -> DPCPPORunnerCfg:
    """Return a preset that learns Multi-Goal in about two minutes on one CPU core.

    The paper's settings but for the size of the batch, and an average of the flow's weights that suits a short run.
    """
    cfg = multi_goal_dpcppo_paper()
    cfg.experiment_name = "multi_goal"
    cfg.num_envs, cfg.num_steps_per_env, cfg.max_iterations = 512, 20, 200
    cfg.algorithm.flow_ema_decay = 0.99
    return cfg


def multi_goal_dpcppo_paper() -> DPCPPORunnerCfg:
    """Return the settings of the paper's Tables 5 and 6, with networks of two layers of 64."""
    return DPCPPORunnerCfg(
        experiment_name="multi_goal_paper",
        max_iterations=200,
        actor=FlowActorCfg(hidden_dims=[64, 64], flow_hidden_dims=[64, 64]),
        critic=NetworkCfg(hidden_dims=[64, 64]),
        algorithm=DPCPPOAlgorithmCfg(),
    )


def multi_goal_ppo() -> PPORunnerCfg:
    """Return stock Gaussian PPO with the paper's settings (Table 6) on the batches of :func:`multi_goal_dpcppo`."""
    return PPORunnerCfg(
        experiment_name="multi_goal_ppo",
        num_envs=512,
        num_steps_per_env=20,
        max_iterations=200,
        actor=GaussianActorCfg(hidden_dims=[64, 64]),
        critic=NetworkCfg(hidden_dims=[64, 64]),
        algorithm=PPOAlgorithmCfg(entropy_coef=0.01),
    )


TASKS: dict[str, EmbeddedTask] = {
    "MultiGoal-v0": EmbeddedTask(
        make_env=MultiGoalEnv,
        agents={"dpcppo": multi_goal_dpcppo, "dpcppo_paper": multi_goal_dpcppo_paper, "ppo": multi_goal_ppo},
        rivals={"dpcppo": "ppo", "dpcppo_paper": "ppo", "ppo": "dpcppo"},
        report=report,
    ),
}
"""The embedded tasks by name."""


def find_task(name: str) -> EmbeddedTask:
    """Return a task by name.

    Raises:
        ConfigError: If there is none; the message lists the tasks.
    """
    if name not in TASKS:
        raise ConfigError(f"There is no task '{name}'.{did_you_mean(name, TASKS)} Tasks: {', '.join(TASKS)}.")
    return TASKS[name]


def make_agent(task: str, agent: str) -> PPORunnerCfg | DPCPPORunnerCfg:
    """Return the configuration of a task's agent.

    Raises:
        ConfigError: If there is no such agent; the message lists the task's agents.
    """
    agents = find_task(task).agents
    if agent not in agents:
        raise ConfigError(
            f"Task '{task}' has no agent '{agent}'.{did_you_mean(agent, agents)} Its agents: {', '.join(agents)}."
        )
    return agents[agent]()
