# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents in mjlab's config classes, derived from a task's own PPO configuration."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

from mjlab.rl import RslRlOnPolicyRunnerCfg

from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.config import check_choice
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.derivation import agent_sections, check_encoders

FLOW_MODELS = {
    "MLPModel": "rsl_dpcppo.{}Actor",
    "RNNModel": "rsl_dpcppo.{}RNNActor",
    "CNNModel": "rsl_dpcppo.{}CNNActor",
    "mjlab.rl.spatial_softmax:SpatialSoftmaxCNNModel": "rsl_dpcppo.tasks.mjlab.spatial_softmax.{}SpatialSoftmaxActor",
}
"""A flow model in the place of each of RSL-RL's and mjlab's; its name begins as the algorithm's models do."""


def to_dpcppo(ppo: RslRlOnPolicyRunnerCfg, name: str = "dpcppo") -> RslRlOnPolicyRunnerCfg:
    """Return a task's PPO configuration with DP-CPPO in PPO's place: same networks and PPO fields, Table 5's flow.

    Args:
        ppo: Runner configuration of the task, left as it is.
        name: Name of the algorithm: DP-CPPO, or another one that takes every encoder.

    Returns:
        A runner configuration of the same class, whose runs go to a folder of their own.

    Raises:
        ConfigError: If it is not RSL-RL's PPO with a Gaussian actor that a flow policy can take the place of.
    """
    _check_derivable(ppo)
    return _derived(
        ppo,
        name,
        class_name=FLOW_MODELS[ppo.actor.class_name].format(ALGORITHMS[name].model),
        **ALGORITHMS[name].runner_cfg().actor.like_network(ppo.actor.hidden_dims, ppo.actor.activation),
    )


def to_peer(ppo: RslRlOnPolicyRunnerCfg, name: str) -> RslRlOnPolicyRunnerCfg:
    """Return a task's PPO configuration with another algorithm in PPO's place; see :mod:`rsl_dpcppo.tasks.agents`.

    Args:
        ppo: Runner configuration of the task, left as it is.
        name: Name of the algorithm.

    Returns:
        A runner configuration of the same class, whose runs go to a folder of their own.

    Raises:
        ConfigError: If it is not RSL-RL's PPO with a Gaussian actor, or has memory, images or symmetry.
    """
    _check_derivable(ppo)
    check_encoders(name, {"actor": ppo.actor, "critic": ppo.critic}, ppo.algorithm)
    return _derived(ppo, name, distribution_cfg=None)


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


def _derived(ppo: RslRlOnPolicyRunnerCfg, name: str, **model: Any) -> RslRlOnPolicyRunnerCfg:
    """Return a copy with an agent's algorithm and model, with these values too."""
    algorithm_section, model_section = agent_sections(name)
    # Of the classes that are there, which may be a plugin's own: RSL-RL is to see what it adds, such as symmetry_cfg.
    return dataclasses.replace(
        copy.deepcopy(ppo),
        experiment_name=f"{ppo.experiment_name}_{name}",
        actor=model_section.extend(ppo.actor, type(ppo.actor), dataclass, **model),
        algorithm=algorithm_section.extend(ppo.algorithm, type(ppo.algorithm), dataclass),
    )
