# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents in the config classes of the installed Isaac Lab, derived from a task's own PPO configuration."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from isaaclab.utils import configclass
from isaaclab_rl import rsl_rl as host

from rsl_dpcppo.algorithms.dpcppo.config import FlowFields
from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.tasks.derivation import agent_sections, check_encoders

FLOW_MODELS: dict[type, str]
"""What the name of a flow model ends with in the place of each of the host's, those of subclasses first."""

MODEL = generation.MODEL_SECTION
"""What a runner configuration calls the flow model."""

IN_ONE = MODEL == "policy"
"""Whether actor and critic are one model there."""

if IN_ONE:
    FLOW_MODELS = {
        host.RslRlPpoActorCriticRecurrentCfg: "ActorCriticRecurrent",
        host.RslRlPpoActorCriticCfg: "ActorCritic",
    }
else:
    FLOW_MODELS = {
        host.RslRlRNNModelCfg: "RNNActor",
        host.RslRlCNNModelCfg: "CNNActor",
        host.RslRlMLPModelCfg: "Actor",
    }


def to_dpcppo(ppo: Any, name: str = "dpcppo") -> Any:
    """Return a task's PPO configuration with DP-CPPO in PPO's place: same networks and PPO fields, Table 5's flow.

    Args:
        ppo: Runner configuration of the host, left as it is.
        name: Name of the algorithm: DP-CPPO, or another one that takes every encoder.

    Returns:
        A runner configuration of the same class, whose runs go to a folder of their own.
    """
    cfg = _with_models(ppo)
    model = getattr(cfg, MODEL)
    cfg = _derived(cfg, name, class_name=f"rsl_dpcppo.{ALGORITHMS[name].model}{FLOW_MODELS[_kind(model)]}")
    widths = model.actor_hidden_dims if IN_ONE else model.hidden_dims
    set_networks(cfg, list(widths), model.activation, critic=False)
    return cfg


def to_peer(ppo: Any, name: str) -> Any:
    """Return a task's PPO configuration with another algorithm in PPO's place; see :mod:`rsl_dpcppo.tasks.agents`.

    Args:
        ppo: Runner configuration of the host, left as it is.
        name: Name of the algorithm.

    Returns:
        A runner configuration of the same class, whose runs go to a folder of their own.

    Raises:
        ConfigError: If the task's PPO has memory, images or symmetry, which these algorithms do not know.
    """
    cfg = _with_models(ppo)
    names = ("policy",) if IN_ONE else ("actor", "critic")
    check_encoders(name, {section: getattr(cfg, section) for section in names}, cfg.algorithm)
    # The host makes a distribution where the older field asks for one.
    return _derived(cfg, name, **({} if IN_ONE else {"distribution_cfg": None, "stochastic": False}))


def _derived(cfg: Any, name: str, **model: Any) -> Any:
    """Put an agent's algorithm and model, with these values too, into a configuration."""
    algorithm_section, model_section = agent_sections(name)
    ppo_model = getattr(cfg, MODEL)
    cfg.experiment_name += f"_{name}"
    cfg.algorithm = algorithm_section.extend(cfg.algorithm, host.RslRlPpoAlgorithmCfg, configclass)
    setattr(cfg, MODEL, model_section.extend(ppo_model, _kind(ppo_model), configclass, **model))
    return cfg


def _kind(model: Any) -> type:
    """Return the host's class of a model, of which it may be a subclass."""
    return next(kind for kind in FLOW_MODELS if isinstance(model, kind))


def set_networks(cfg: Any, hidden_dims: list[int], activation: str, critic: bool = True) -> None:
    """Set the widths and the activation of the policy, of its flow if it has one, and by default of the critic."""
    in_one = not _is_missing(getattr(cfg, "policy", dataclasses.MISSING))
    policy = cfg.policy if in_one else cfg.actor
    policy.activation = activation
    if isinstance(policy, FlowFields):
        policy.flow_hidden_dims, policy.flow_activation = list(hidden_dims), activation
    setattr(policy, "actor_hidden_dims" if in_one else "hidden_dims", list(hidden_dims))
    if critic and in_one:
        policy.critic_hidden_dims = list(hidden_dims)
    elif critic:
        cfg.critic.hidden_dims, cfg.critic.activation = list(hidden_dims), activation


def _with_models(ppo: Any) -> Any:
    """Return a copy of a configuration, for 5.x with actor and critic and with the actor's distribution."""
    cfg = copy.deepcopy(ppo)
    if IN_ONE:
        return cfg
    if _is_missing(getattr(cfg, "actor", dataclasses.MISSING)):
        cfg.actor, cfg.critic = _models(cfg.policy)
    elif cfg.actor.distribution_cfg is None:
        cfg.actor.distribution_cfg = _gaussian(cfg.actor)
    cfg.policy = dataclasses.MISSING
    return cfg


def _models(policy: Any) -> tuple[Any, Any]:
    """Return explicit actor and critic: the host infers them from ``policy`` for its own classes only."""
    names = ("rnn_type", "rnn_hidden_dim", "rnn_num_layers")
    memory = {name: getattr(policy, name) for name in names if hasattr(policy, name)}
    kind = host.RslRlRNNModelCfg if memory else host.RslRlMLPModelCfg
    actor = kind(
        hidden_dims=list(policy.actor_hidden_dims),
        activation=policy.activation,
        obs_normalization=policy.actor_obs_normalization,
        distribution_cfg=_gaussian(policy),
        **memory,
    )
    critic = kind(
        hidden_dims=list(policy.critic_hidden_dims),
        activation=policy.activation,
        obs_normalization=policy.critic_obs_normalization,
        **memory,
    )
    return actor, critic


def _gaussian(model: Any) -> Any:
    """Return an explicit Gaussian from the host's older fields of an actor."""
    return host.RslRlMLPModelCfg.GaussianDistributionCfg(init_std=model.init_noise_std, std_type=model.noise_std_type)


def _is_missing(value: Any) -> bool:
    return isinstance(value, type(dataclasses.MISSING))
