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
