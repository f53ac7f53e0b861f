# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents of a task: DP-CPPO, and beside it stock PPO and its peers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPOAlgorithmCfg, DPCPPORunnerCfg, FlowActorCfg
from rsl_dpcppo.algorithms.registry import ALGORITHMS, peers
from rsl_dpcppo.config import PPO_FIELDS, GaussianActorCfg, NetworkCfg, PPOAlgorithmCfg, PPORunnerCfg, RunnerCfg
from rsl_dpcppo.config.paper import PaperSettings

_RUN_FIELDS = [
    field.name for field in dataclasses.fields(RunnerCfg) if field.name not in ("actor", "critic", "algorithm")
]
"""Fields of a run rather than of an algorithm."""


def make_agents(task: str, dpcppo: Callable[[], DPCPPORunnerCfg]) -> dict[str, Callable[[], RunnerCfg]]:
    """Return the agents of a task, whose runs go to folders of their own: "dpcppo", "ppo" and a peer each.

    Args:
        task: Name of the task, with its host's prefix.
        dpcppo: Makes the configuration of DP-CPPO.
    """
    makers: dict[str, Callable[[], RunnerCfg]] = {"dpcppo": dpcppo, "ppo": lambda: to_ppo(dpcppo())}
    makers |= {name: partial(_make_peer, name, dpcppo) for name in peers()}
    return {name: partial(_make_named, make, f"{task}_{name}") for name, make in makers.items()}


def _make_named(make: Callable[[], RunnerCfg], experiment_name: str) -> RunnerCfg:
    cfg = make()
    cfg.experiment_name = experiment_name
    return cfg


def _make_peer(name: str, dpcppo: Callable[[], DPCPPORunnerCfg]) -> RunnerCfg:
    return to_peer(dpcppo(), name)


def to_ppo(cfg: DPCPPORunnerCfg) -> PPORunnerCfg:
    """Return stock Gaussian PPO with every setting that it shares with a DP-CPPO agent: networks, rates, batches."""
    return PPORunnerCfg(
        **_values(cfg, _RUN_FIELDS),
        actor=GaussianActorCfg(**_values(cfg.actor, _names(GaussianActorCfg))),
        critic=dataclasses.replace(cfg.critic),
        algorithm=PPOAlgorithmCfg(**_values(cfg.algorithm, PPO_FIELDS)),
    )


def to_peer(cfg: DPCPPORunnerCfg, name: str) -> RunnerCfg:
    """Return an agent of another algorithm for the task of a DP-CPPO agent.

    What belongs to the task is the task's: rollouts, discount, value loss, normalisation, and the flow's widths. What
    belongs to the algorithm is its paper's; see :attr:`~rsl_dpcppo.config.RunnerCfg.task_fields`.

    Args:
        cfg: The agent of DP-CPPO.
        name: Name of the algorithm.
    """
    kind = ALGORITHMS[name].runner_cfg
    if not ALGORITHMS[name].is_on_policy:
        return _to_off_policy(cfg, kind)
    peer = kind(**_values(cfg, _RUN_FIELDS), critic=dataclasses.replace(cfg.critic))
    if isinstance(peer.actor, FlowActorCfg):
        same = {name: value for name, value in vars(cfg.actor).items() if name != "flow_activation"}
        network = peer.actor.like_network(cfg.actor.flow_hidden_dims, cfg.actor.flow_activation)
        peer.actor = dataclasses.replace(peer.actor, **{**same, **network})
    else:
        peer.actor.hidden_dims = list(cfg.actor.flow_hidden_dims)
        peer.actor.obs_normalization = cfg.actor.obs_normalization
    peer.algorithm = dataclasses.replace(peer.algorithm, **_values(cfg.algorithm, kind.task_fields))
    return peer.sized(cfg.num_envs)


def _to_off_policy(cfg: DPCPPORunnerCfg, kind: Any) -> RunnerCfg:
    """Return an agent that learns from a replay buffer, in the size that suits the task's number of environments."""
    agent = kind(**_values(cfg, _RUN_FIELDS))
    agent.actor.hidden_dims = list(cfg.actor.flow_hidden_dims)
    agent.critic.hidden_dims = list(cfg.critic.hidden_dims)
    agent.actor.obs_normalization = agent.critic.obs_normalization = cfg.actor.obs_normalization
    agent.algorithm = dataclasses.replace(agent.algorithm, **_values(cfg.algorithm, kind.task_fields))
    return agent.sized(cfg.num_envs)


def _names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _values(cfg: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(cfg, name) for name in names}


def paper_agent(settings: PaperSettings) -> DPCPPORunnerCfg:
    """Return DP-CPPO with the settings of a column of the paper."""
    cfg = DPCPPORunnerCfg(
        num_envs=settings.num_envs,
        num_steps_per_env=settings.num_steps_per_env,
        actor=FlowActorCfg(**settings.networks(), **settings.flow_network()),
        critic=NetworkCfg(**settings.networks()),
        algorithm=DPCPPOAlgorithmCfg(),
    )
    settings.apply_to_algorithm(cfg.algorithm)
    return cfg


def hold_modes(cfg: DPCPPORunnerCfg) -> DPCPPORunnerCfg:
    """Return an agent with the three options that hold the modes; see docs/research.md.

    Args:
        cfg: The agent, which is changed.
    """
    cfg.actor.residual_frequencies = 3
    cfg.algorithm.flow_noise, cfg.algorithm.base_action_baseline = "kept", True
    return cfg


def hold_modes_of_fold(cfg: Any) -> Any:
    """Return an agent of DP-CPPO with rare folds, with the two options that hold its modes; see docs/research.md.

    Args:
        cfg: The agent, which is changed.
    """
    cfg.actor.residual_frequencies = 5
    cfg.algorithm.noise_kl_coef = 3.0
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
