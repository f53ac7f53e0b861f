# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents in the config classes of the installed Isaac Lab, derived from a task's own PPO configuration."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from isaaclab.utils import configclass
from isaaclab_rl import rsl_rl as host

from rsl_dpcppo.algorithms.dpcppo.config import FlowFields
from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.errors import ConfigError
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


class RefusedPreset:
    """In the place of a preset that an algorithm does not take: whoever chooses it learns why, by its first use."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        self._reason = reason

    def __getattr__(self, name: str) -> Any:
        """Raise a :class:`~rsl_dpcppo.errors.ConfigError`, but for what Python asks of any object, to copy it."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise ConfigError(self._reason)


def convert_presets(cfg: Any, convert: Callable[[Any], Any]) -> Any:
    """Convert a configuration, or each one that a preset of Isaac Lab 3.0 lets the command line choose from.

    Args:
        cfg: A runner configuration, or a ``PresetCfg``: one runner configuration a field, "default" among them.
        convert: Takes a runner configuration.

    Returns:
        What ``convert`` returns, or a preset of the same class with that in each field.

    Raises:
        ConfigError: If ``convert`` refuses the configuration, or each of the preset.
    """
    if not hasattr(cfg, "default"):
        return convert(cfg)
    preset, refused = copy.copy(cfg), []
    for field in dataclasses.fields(cfg):
        try:
            option = convert(getattr(cfg, field.name))
        except ConfigError as error:
            option = RefusedPreset(f"Preset '{field.name}': {error}")
            refused.append(error)
        setattr(preset, field.name, option)
    if len(refused) == len(dataclasses.fields(cfg)):
        raise refused[0]
    return preset


def to_dpcppo(ppo: Any, name: str = "dpcppo") -> Any:
    """Return a task's PPO configuration with DP-CPPO in PPO's place: same networks and PPO fields, Table 5's flow.

    Args:
        ppo: Runner configuration of the host, left as it is.
        name: Name of the algorithm: DP-CPPO, or another one that takes every encoder.

    Returns:
        A runner configuration of the same class, whose runs go to a folder of their own.

    Raises:
        ConfigError: If there is no flow model for the task's.
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
    """Return the host's class of a model, of which it may be a subclass.

    Raises:
        ConfigError: If it is none of the models that there is a flow model for.
    """
    for kind in FLOW_MODELS:
        if isinstance(model, kind):
            return kind
    known = ", ".join(kind.__name__ for kind in FLOW_MODELS)
    raise ConfigError(f"{MODEL} is a {type(model).__name__}; an agent is made of one of {known}.")


def set_networks(cfg: Any, hidden_dims: list[int], activation: str, critic: bool = True) -> None:
    """Set the widths and the activation of the policy, of its flow if it has one, and by default of the critic."""
    in_one = not _is_missing(getattr(cfg, "policy", dataclasses.MISSING))
    policy = cfg.policy if in_one else cfg.actor
    policy.activation = activation
    if isinstance(policy, FlowFields):
        for field, value in policy.like_network(hidden_dims, activation).items():
            setattr(policy, field, value)
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
