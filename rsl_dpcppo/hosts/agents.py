# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents of a task: DP-CPPO, and stock PPO with the same settings beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from rsl_dpcppo.config import DPCPPORunnerCfg, GaussianActorCfg, PPOAlgorithmCfg, PPORunnerCfg, RunnerCfg
from rsl_dpcppo.hosts.task import AgentCfg


def make_agents(task: str, dpcppo: Callable[[], DPCPPORunnerCfg]) -> dict[str, Callable[[], AgentCfg]]:
    """Return the agents "dpcppo" and "ppo" of a task, whose runs go to folders of their own.

    Args:
        task: Name of the task, with its host's prefix.
        dpcppo: Makes the configuration of DP-CPPO.
    """

    def make_dpcppo() -> DPCPPORunnerCfg:
        cfg = dpcppo()
        cfg.experiment_name = f"{task}_dpcppo"
        return cfg

    def make_ppo() -> PPORunnerCfg:
        cfg = to_ppo(dpcppo())
        cfg.experiment_name = f"{task}_ppo"
        return cfg

    return {"dpcppo": make_dpcppo, "ppo": make_ppo}


def to_ppo(cfg: DPCPPORunnerCfg) -> PPORunnerCfg:
    """Return stock Gaussian PPO with every setting that it shares with a DP-CPPO agent: networks, rates, batches."""
    runner = {field.name: getattr(cfg, field.name) for field in dataclasses.fields(RunnerCfg)}
    actor = {field.name: getattr(cfg.actor, field.name) for field in dataclasses.fields(GaussianActorCfg)}
    algorithm = {field.name: getattr(cfg.algorithm, field.name) for field in dataclasses.fields(PPOAlgorithmCfg)}
    return PPORunnerCfg(
        **runner,
        actor=GaussianActorCfg(**actor),
        critic=dataclasses.replace(cfg.critic),
        algorithm=PPOAlgorithmCfg(**algorithm),
    )


def hold_modes(cfg: DPCPPORunnerCfg) -> DPCPPORunnerCfg:
    """Return an agent with the three options that hold the modes; see docs/research.md.

    Args:
        cfg: The agent, which is changed.
    """
    cfg.actor.residual_frequencies = 3
    cfg.algorithm.flow_noise, cfg.algorithm.base_action_baseline = "kept", True
    return cfg


def for_cpu(cfg: DPCPPORunnerCfg, num_envs: int, num_steps_per_env: int) -> DPCPPORunnerCfg:
    """Return an agent in a size that two CPU cores train in minutes.

    Its rollouts are some fifty times smaller than the paper's, which makes the policy gradient noisier and leaves the
    score regulariser as strong as it was: at the paper's 0.1 it holds the policy back (CheetahRun ends at half of
    PPO's return), without it the policy diverges. Fifteen epochs of the fit would follow the noise of so few states,
    and 0.999 would average over more iterations than a short run has to spare.

    Args:
        cfg: The agent, which is changed.
        num_envs: Number of environments.
        num_steps_per_env: Steps of each between two updates.
    """
    cfg.num_envs, cfg.num_steps_per_env, cfg.max_iterations = num_envs, num_steps_per_env, 500
    cfg.actor.hidden_dims, cfg.actor.flow_hidden_dims, cfg.critic.hidden_dims = [128, 128], [128, 128], [128, 128]
    cfg.algorithm.score_coef, cfg.algorithm.flow_num_epochs, cfg.algorithm.flow_ema_decay = 0.03, 5, 0.99
    return cfg
