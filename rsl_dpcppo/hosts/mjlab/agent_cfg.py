# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO in mjlab's config classes, derived from a task's own PPO configuration."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

from mjlab.rl import RslRlModelCfg, RslRlOnPolicyRunnerCfg, RslRlPpoAlgorithmCfg

from rsl_dpcppo.config import DPCPPOFields, FlowFields, check_choice
from rsl_dpcppo.errors import ConfigError

FLOW_MODELS = {
    "MLPModel": "rsl_dpcppo.FlowActor",
    "RNNModel": "rsl_dpcppo.FlowRNNActor",
    "CNNModel": "rsl_dpcppo.FlowCNNActor",
    "mjlab.rl.spatial_softmax:SpatialSoftmaxCNNModel": "rsl_dpcppo.hosts.mjlab.spatial_softmax.FlowSpatialSoftmaxActor",
}
"""The flow policy in the place of each of RSL-RL's and mjlab's models."""


@dataclass
class FlowActorCfg(FlowFields, RslRlModelCfg):
    """mjlab's model fields, for the residual kernel, and those of the flow."""

    class_name: str = "rsl_dpcppo.FlowActor"
    """Flow policy class resolved by RSL-RL: one of FLOW_MODELS."""


@dataclass
class DPCPPOAlgorithmCfg(DPCPPOFields, RslRlPpoAlgorithmCfg):
    """mjlab's PPO fields and those of DP-CPPO."""

    class_name: str = "rsl_dpcppo.DPCPPO"
    """Algorithm class resolved by RSL-RL."""


def to_dpcppo(ppo: RslRlOnPolicyRunnerCfg) -> RslRlOnPolicyRunnerCfg:
    """Return a task's PPO configuration with DP-CPPO in PPO's place: same networks and PPO fields, Table 5's flow.

    Args:
        ppo: Runner configuration of the task, left as it is.

    Returns:
        A runner configuration of the same class, whose runs go to a folder of their own.

    Raises:
        ConfigError: If it is not RSL-RL's PPO with a Gaussian actor that a flow policy can take the place of.
    """
    _check_derivable(ppo)
    ppo = copy.deepcopy(ppo)
    actor = _extended(
        FlowActorCfg,
        ppo.actor,
        class_name=FLOW_MODELS[ppo.actor.class_name],
        flow_hidden_dims=list(ppo.actor.hidden_dims),
        flow_activation=ppo.actor.activation,
    )
    algorithm = _extended(DPCPPOAlgorithmCfg, ppo.algorithm, class_name="rsl_dpcppo.DPCPPO")
    return dataclasses.replace(ppo, experiment_name=f"{ppo.experiment_name}_dpcppo", actor=actor, algorithm=algorithm)


def _check_derivable(ppo: Any) -> None:
    if not isinstance(ppo, RslRlOnPolicyRunnerCfg):
        raise ConfigError(f"The configuration is a {type(ppo).__name__}; it must be an RslRlOnPolicyRunnerCfg.")
    distribution = (ppo.actor.distribution_cfg or {}).get("class_name")
    for name, value, choices in (
        ("class_name", ppo.class_name, ("OnPolicyRunner",)),
        ("algorithm.class_name", ppo.algorithm.class_name, ("PPO",)),
        ("actor.class_name", ppo.actor.class_name, tuple(FLOW_MODELS)),
        ("actor.distribution_cfg['class_name']", distribution, ("GaussianDistribution",)),
    ):
        check_choice(name, value, choices)


def _extended(kind: type, source: Any, **ours: Any) -> Any:
    """Return a configuration's values, and ours, in a class that has the fields of both."""
    if not issubclass(kind, type(source)):
        # A plugin's own subclass: RSL-RL is to see what it adds, such as symmetry_cfg.
        kind = dataclass(type(kind.__name__, (kind, type(source)), {}))
    values = {field.name: getattr(source, field.name) for field in dataclasses.fields(source)}
    return kind(**{**values, **ours})
