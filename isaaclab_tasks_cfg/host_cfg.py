# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO in the config classes of the installed Isaac Lab, derived from a task's own PPO configuration."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from isaaclab.utils import configclass
from isaaclab_rl import rsl_rl as host

from rsl_dpcppo.config import DPCPPOFields, FlowFields
from rsl_dpcppo.hosts.rsl_rl.version import GENERATION


@configclass
class DPCPPOAlgorithmCfg(DPCPPOFields, host.RslRlPpoAlgorithmCfg):
    """The host's PPO fields and those of DP-CPPO."""

    class_name: str = "rsl_dpcppo.DPCPPO"


if GENERATION == 3:

    @configclass
    class FlowActorCriticCfg(FlowFields, host.RslRlPpoActorCriticCfg):
        """The host's actor-critic fields and those of the flow."""

        class_name: str = "rsl_dpcppo.FlowActorCritic"

    @configclass
    class FlowActorCriticRecurrentCfg(FlowFields, host.RslRlPpoActorCriticRecurrentCfg):
        """The host's recurrent actor-critic fields and those of the flow."""

        class_name: str = "rsl_dpcppo.FlowActorCriticRecurrent"

else:

    @configclass
    class FlowActorCfg(FlowFields, host.RslRlMLPModelCfg):
        """The host's model fields and those of the flow."""

        class_name: str = "rsl_dpcppo.FlowActor"

    @configclass
    class FlowRNNActorCfg(FlowFields, host.RslRlRNNModelCfg):
        """The host's recurrent model fields and those of the flow."""

        class_name: str = "rsl_dpcppo.FlowRNNActor"

    @configclass
    class FlowCNNActorCfg(FlowFields, host.RslRlCNNModelCfg):
        """The host's convolutional model fields and those of the flow."""

        class_name: str = "rsl_dpcppo.FlowCNNActor"


def to_dpcppo(ppo: Any) -> Any:
    """Return a task's PPO configuration with DP-CPPO in PPO's place: same networks and PPO fields, Table 5's flow.

    Args:
        ppo: Runner configuration of the host, left as it is.

    Returns:
        A runner configuration of the same class, whose runs go to a folder of their own.
    """
    cfg = copy.deepcopy(ppo)
    cfg.experiment_name += "_dpcppo"
    cfg.algorithm = _extended(DPCPPOAlgorithmCfg, ppo.algorithm)
    if GENERATION == 3:
        is_recurrent = isinstance(ppo.policy, host.RslRlPpoActorCriticRecurrentCfg)
        cfg.policy = _extended(FlowActorCriticRecurrentCfg if is_recurrent else FlowActorCriticCfg, ppo.policy)
        set_networks(cfg, list(ppo.policy.actor_hidden_dims), ppo.policy.activation, critic=False)
        return cfg
    cfg.actor, cfg.critic = _models(cfg)
    cfg.policy = dataclasses.MISSING
    set_networks(cfg, list(cfg.actor.hidden_dims), cfg.actor.activation, critic=False)
    return cfg


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


def _models(cfg: Any) -> tuple[Any, Any]:
    """Return explicit actor and critic: the host infers them from ``policy`` for its own classes only."""
    if not _is_missing(getattr(cfg, "actor", dataclasses.MISSING)):
        kinds = {"RNNModel": FlowRNNActorCfg, "CNNModel": FlowCNNActorCfg}
        actor = _extended(kinds.get(cfg.actor.class_name, FlowActorCfg), cfg.actor)
        return _with_distribution(actor, cfg.actor), copy.deepcopy(cfg.critic)
    policy = cfg.policy
    names = ("rnn_type", "rnn_hidden_dim", "rnn_num_layers")
    memory = {name: getattr(policy, name) for name in names if hasattr(policy, name)}
    actor_kind: Any = FlowRNNActorCfg if memory else FlowActorCfg
    actor = actor_kind(
        hidden_dims=list(policy.actor_hidden_dims),
        activation=policy.activation,
        obs_normalization=policy.actor_obs_normalization,
        **memory,
    )
    critic = (host.RslRlRNNModelCfg if memory else host.RslRlMLPModelCfg)(
        hidden_dims=list(policy.critic_hidden_dims),
        activation=policy.activation,
        obs_normalization=policy.critic_obs_normalization,
        **memory,
    )
    return _with_distribution(actor, policy), critic


def _with_distribution(actor: Any, source: Any) -> Any:
    """Give an actor an explicit Gaussian, from the host's older fields if it has no distribution yet."""
    if actor.distribution_cfg is None:
        actor.distribution_cfg = host.RslRlMLPModelCfg.GaussianDistributionCfg(
            init_std=source.init_noise_std, std_type=source.noise_std_type
        )
    return actor


def _extended(kind: type, source: Any) -> Any:
    """Return a configuration of a subclass with the source's values; only the class that it names is its own."""
    names = {field.name for field in dataclasses.fields(source)} & {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: copy.deepcopy(getattr(source, name)) for name in names - {"class_name"}})


def _is_missing(value: Any) -> bool:
    return isinstance(value, type(dataclasses.MISSING))
