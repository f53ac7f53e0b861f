# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The agents of the embedded tasks."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPOAlgorithmCfg, DPCPPORunnerCfg, FlowActorCfg
from rsl_dpcppo.algorithms.dpcppo_fold.config import OFTEN
from rsl_dpcppo.algorithms.registry import ALGORITHMS, off_policy, peers
from rsl_dpcppo.config import GaussianActorCfg, NetworkCfg, PPOAlgorithmCfg, PPORunnerCfg, RunnerCfg
from rsl_dpcppo.importing import deferred
from rsl_dpcppo.tasks.agents import hold_modes, hold_modes_of_fold, make_agents, to_peer
from rsl_dpcppo.tasks.task import Policy, Task

_MULTI_GOAL = "rsl_dpcppo.tasks.embedded.multi_goal"
_TWO_MODES = "rsl_dpcppo.tasks.embedded.two_modes"

_MODES_RIVALS = {"dpcppo_modes": "dpcppo", "dpcppo_fold_modes": "ppo"}
"""Beside whom the reports of agents that hold modes show them."""

TITLE = "Embedded"
"""What the list of tasks calls this host."""


def fold_often(cfg: Any) -> Any:
    """Return an agent of DP-CPPO with rare folds that makes several in a run of some hundred iterations.

    Args:
        cfg: The agent, which is changed.
    """
    cfg.algorithm = dataclasses.replace(cfg.algorithm, **OFTEN)
    return cfg


def multi_goal_dpcppo() -> DPCPPORunnerCfg:
    """Return a preset that learns Multi-Goal in about two minutes on one CPU core.

    The paper's settings but for the size of the batch, and an average of the flow's weights that suits a short run.
    """
    cfg = multi_goal_dpcppo_paper()
    cfg.experiment_name = "multi_goal"
    cfg.num_envs, cfg.num_steps_per_env, cfg.max_iterations = 512, 20, 200
    cfg.algorithm.flow_ema_decay = 0.99
    return cfg


def multi_goal_dpcppo_modes() -> DPCPPORunnerCfg:
    """Return the preset with what holds the modes, and a larger entropy bonus, which holds more of them."""
    cfg = hold_modes(multi_goal_dpcppo())
    cfg.experiment_name = "multi_goal_held"
    cfg.algorithm.entropy_coef = 0.02
    return cfg


def multi_goal_fold() -> RunnerCfg:
    """Return DP-CPPO with rare folds for :func:`multi_goal`."""
    return fold_often(multi_goal_peer("dpcppo_fold"))


def multi_goal_fold_modes() -> RunnerCfg:
    """Return DP-CPPO with rare folds, what holds its modes, and a larger entropy bonus, which holds more of them."""
    cfg = hold_modes_of_fold(multi_goal_fold())
    cfg.experiment_name = "multi_goal_fold_held"
    cfg.algorithm.entropy_coef = 0.05
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


def multi_goal_peer(name: str) -> RunnerCfg:
    """Return another algorithm on the batches of :func:`multi_goal_dpcppo`, with its paper's settings.

    One that learns from a replay buffer has fewer environments, since it needs fewer samples and more gradient steps.

    Args:
        name: Name of the algorithm.
    """
    task = multi_goal_dpcppo()
    if not ALGORITHMS[name].is_on_policy:
        task.num_envs = 64
    cfg = to_peer(task, name)
    cfg.experiment_name = f"multi_goal_{name}"
    return cfg


def two_modes_dpcppo() -> DPCPPORunnerCfg:
    """Return DP-CPPO in a size that finds the good actions in some ten seconds."""
    return DPCPPORunnerCfg(
        experiment_name="two_modes",
        num_envs=1024,
        num_steps_per_env=8,
        max_iterations=60,
        actor=FlowActorCfg(hidden_dims=[64, 64], flow_hidden_dims=[64, 64], flow_steps=8),
        critic=NetworkCfg(hidden_dims=[64, 64]),
        algorithm=DPCPPOAlgorithmCfg(flow_ema_decay=0.99),
    )


def two_modes_fold() -> RunnerCfg:
    """Return DP-CPPO with rare folds for :func:`two_modes`."""
    cfg = fold_often(to_peer(two_modes_dpcppo(), "dpcppo_fold"))
    cfg.experiment_name = "two_modes_dpcppo_fold"
    return cfg


def two_modes_off_policy(name: str) -> RunnerCfg:
    """Return an algorithm that learns from a replay buffer, with a box of actions that the modes lie well inside.

    Args:
        name: Name of the algorithm.
    """
    cfg: Any = to_peer(dataclasses.replace(two_modes_dpcppo(), num_envs=128), name)
    cfg.experiment_name, cfg.actor.action_scale = f"two_modes_{name}", 2.0
    # So short a run has few gradient steps, in which all has to be learned, and which the averages look back over.
    cfg.algorithm.policy_delay, cfg.algorithm.updates_per_step, cfg.algorithm.temperature_learning_rate = 1, 4.0, 1e-2
    cfg.algorithm.actor_learning_rate = cfg.algorithm.critic_learning_rate = 1e-3
    return cfg


def two_modes_dpcppo_modes() -> DPCPPORunnerCfg:
    """Return the same with what holds the modes, and a kernel that does not reach from one to the other."""
    cfg = hold_modes(two_modes_dpcppo())
    cfg.experiment_name = "two_modes_held"
    cfg.actor.init_std = 0.3
    return cfg


def two_modes_fold_modes() -> RunnerCfg:
    """Return DP-CPPO with rare folds, with what holds its modes, and a larger entropy bonus."""
    cfg = hold_modes_of_fold(two_modes_fold())
    cfg.experiment_name = "two_modes_fold_held"
    cfg.algorithm.entropy_coef = 0.02
    return cfg


def two_modes() -> Task:
    """Return the bandit with two equally good actions."""
    return Task(
        name="TwoModes-v0",
        agents=make_agents("two_modes", two_modes_dpcppo)
        | {
            "dpcppo": two_modes_dpcppo,
            "dpcppo_modes": two_modes_dpcppo_modes,
            "dpcppo_fold": two_modes_fold,
            "dpcppo_fold_modes": two_modes_fold_modes,
        }
        | {name: partial(two_modes_off_policy, name) for name in off_policy()},
        env_cfg=deferred(_TWO_MODES, "TwoModesCfg"),
        make_env=lambda cfg, num_envs, device, seed: deferred(_TWO_MODES, "TwoModesEnv")(cfg, num_envs, device),
        report=deferred(_TWO_MODES, "report"),
        rivals={"dpcppo": "ppo", "ppo": "dpcppo"} | _MODES_RIVALS | dict.fromkeys(peers(), "dpcppo"),
    )


def multi_goal() -> Task:
    """Return the plane with four equally good goals."""
    return Task(
        name="MultiGoal-v0",
        agents={
            "dpcppo": multi_goal_dpcppo,
            "dpcppo_modes": multi_goal_dpcppo_modes,
            "dpcppo_paper": multi_goal_dpcppo_paper,
            "ppo": multi_goal_ppo,
            **{name: partial(multi_goal_peer, name) for name in peers()},
            "dpcppo_fold": multi_goal_fold,
            "dpcppo_fold_modes": multi_goal_fold_modes,
        },
        env_cfg=deferred(_MULTI_GOAL, "MultiGoalCfg"),
        make_env=lambda cfg, num_envs, device, seed: deferred(_MULTI_GOAL, "MultiGoalEnv")(num_envs, device, seed, cfg),
        report=_report_multi_goal,
        rivals={"dpcppo": "ppo", "dpcppo_paper": "ppo", "ppo": "dpcppo"}
        | _MODES_RIVALS
        | dict.fromkeys(peers(), "dpcppo"),
    )


def _report_multi_goal(policies: dict[str, Policy], env: Any, folder: Path) -> None:
    deferred(f"{_MULTI_GOAL}_report", "report")(policies, folder, env.device, env.closed)


TASKS = {"TwoModes-v0": two_modes, "MultiGoal-v0": multi_goal}
"""Makes each of the embedded tasks, by name."""


def task_names() -> list[str]:
    """Return the names of the tasks."""
    return list(TASKS)


def find(name: str) -> Task:
    """Return a task by name."""
    return TASKS[name]()
