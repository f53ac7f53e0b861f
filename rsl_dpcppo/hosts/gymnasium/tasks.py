# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Gymnasium's continuous-control tasks and their agents."""

from __future__ import annotations

from rsl_dpcppo.config import DPCPPOAlgorithmCfg, DPCPPORunnerCfg, FlowActorCfg, NetworkCfg
from rsl_dpcppo.hosts import episodes
from rsl_dpcppo.hosts.agents import make_agents
from rsl_dpcppo.hosts.gymnasium import env as gym
from rsl_dpcppo.hosts.task import Task

TITLE = "Gymnasium (and every id that you register)"
"""What the list of tasks calls this host."""


def dpcppo() -> DPCPPORunnerCfg:
    """Return DP-CPPO for environments that run on the CPU, a few at a time."""
    widths = [128, 128]
    return DPCPPORunnerCfg(
        num_envs=32,
        num_steps_per_env=64,
        max_iterations=500,
        actor=FlowActorCfg(hidden_dims=widths, flow_hidden_dims=widths, obs_normalization=True),
        critic=NetworkCfg(hidden_dims=widths, obs_normalization=True),
        algorithm=DPCPPOAlgorithmCfg(learning_rate=1e-3, entropy_coef=0.001, flow_ema_decay=0.99),
    )


def task_names() -> list[str]:
    """Return the registered ids of continuous-control tasks.

    Raises:
        ConfigError: If Gymnasium is missing or of an unsupported version.
    """
    return gym.task_ids()


def find(name: str) -> Task:
    """Return a task by its Gymnasium id."""
    return Task(
        name=f"Gym-{name}",
        agents=make_agents(f"Gym-{name}".replace("/", "-").replace(":", "-"), dpcppo),
        env_cfg=gym.GymnasiumEnvCfg,
        make_env=lambda cfg, num_envs, device, seed: gym.GymnasiumEnv(name, num_envs, device, seed, cfg),
        report=episodes.report,
        film=lambda cfg, policy, num_steps, device, seed: gym.film(name, cfg, policy, num_steps, device, seed),
    )
