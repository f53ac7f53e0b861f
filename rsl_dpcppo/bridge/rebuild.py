# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Policies rebuilt from their checkpoints, without the environments that they were trained in."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any

from torch import nn

from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.models import split_fields
from rsl_dpcppo.bridge.public import find_class
from rsl_dpcppo.bridge.train_cfg import class_names
from rsl_dpcppo.checkpoint import check_types
from rsl_dpcppo.config.off_policy import OffPolicyCriticCfg
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.learning.critics import TwinCritics


def build_model(agent: dict[str, Any], checkpoint: dict[str, Any]) -> Any:
    """Return the flow model of a checkpoint, whose shapes the weights tell, in evaluation mode.

    Args:
        agent: The agent's dictionary, as in a run's params/agent.yaml.
        checkpoint: What the runner saved.

    Raises:
        ConfigError: If the agent is no flow policy over vector observations.
    """
    fields = dict(agent.get(generation.MODEL_SECTION) or {})
    kind = _find_exportable(fields.pop("class_name", None))
    algorithm = agent.get("algorithm") or {}
    if hasattr(kind.fields_class, "flow_steps"):
        # One override of the algorithm's reaches the solver in both generations; see DPCPPOFields.
        fields["flow_steps"] = algorithm.get("flow_steps") or fields.get("flow_steps", kind.fields_class().flow_steps)
    state = generation.policy_state(checkpoint)
    time_features = fields.get("flow_time_features", kind.policy_class.default_time_features())
    num_observations, num_actions = kind.policy_class.sizes(state, time_features)
    model = generation.rebuild_model(kind, fields, state, (num_observations, num_actions))
    if any(".critics." in name for name in state):  # who choose among candidates
        critic = split_fields(OffPolicyCriticCfg, agent.get("critic") or {})[0]
        layer_norm = bool(algorithm.get("critic_layer_norm"))
        critics = TwinCritics(num_observations, num_actions, critic.hidden_dims, critic.activation, layer_norm)
        model.flow_policy.choose_by(critics)
    check_types(state, model.state_dict())
    model.load_state_dict(state)
    return model.eval()


def build_stock(agent: dict[str, Any], checkpoint: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """Return the normaliser and the network of a checkpoint of RSL-RL's own Gaussian policy, in evaluation mode.

    Args:
        agent: The agent's dictionary, as in a run's params/agent.yaml.
        checkpoint: What the runner saved.
    """
    fields = copy.deepcopy(agent[generation.MODEL_SECTION])
    kind = getattr(import_module(generation.STOCK_PACKAGE), fields.pop("class_name"))
    state = generation.policy_state(checkpoint)
    network = f"{generation.STOCK_NETWORK}."
    layers = [value for name, value in state.items() if name.startswith(network) and name.endswith(".weight")]
    model = generation.rebuild_model(kind, fields, state, (layers[0].shape[1], layers[-1].shape[0]))
    check_types(state, model.state_dict())
    model.load_state_dict(state)
    model.eval()
    return getattr(model, generation.STOCK_NORMALIZER), getattr(model, generation.STOCK_NETWORK)


def _find_exportable(class_name: str | None) -> Any:
    """Return the class of a model that can be rebuilt from its weights."""
    names = list(dict.fromkeys(class_names(name)[1] for name in ALGORITHMS))
    if class_name not in names:
        raise ConfigError(
            f"The run's params/agent.yaml names the model {class_name}; with the installed RSL-RL only "
            f"{', '.join(names)} can be exported without their environment. Use the host's own exporter for others."
        )
    return find_class(class_name.rpartition(".")[2])
