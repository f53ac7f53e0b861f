# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL 5.x: separate models for actor and critic.

The names are those of :class:`~rsl_dpcppo.bridge.contract.Generation`.
"""

from __future__ import annotations

from typing import Any

from tensordict import TensorDict

from rsl_dpcppo.bridge.contract import OffPolicyModels
from rsl_dpcppo.bridge.v5.agent import MODEL_SECTION, STOCK_MODEL, TAKES_OFF_POLICY, model_names, to_rsl_rl
from rsl_dpcppo.bridge.v5.files import (
    collect_state,
    log_dir,
    policy_state,
    rebuild_model,
    restore_state,
    unclamped_std,
    upload_model,
)
from rsl_dpcppo.bridge.v5.host import find_model, make_host
from rsl_dpcppo.learning.policy import FlowPolicy

__all__ = [
    "MODEL_SECTION",
    "STOCK_MODEL",
    "TAKES_OFF_POLICY",
    "collect_state",
    "find_model",
    "log_dir",
    "make_host",
    "make_off_policy_models",
    "model_class",
    "model_names",
    "policy_state",
    "rebuild_model",
    "restore_state",
    "to_rsl_rl",
    "unclamped_std",
    "upload_model",
]


def model_class(name: str, stem: str, policy_class: type[FlowPolicy]) -> Any:
    """Return a public model; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    # Not above: the dictionary of this generation can be had where the other one is installed.
    from rsl_dpcppo.bridge.v5.models import make_class

    return make_class(name, stem, policy_class)


def make_off_policy_models(
    obs: TensorDict, num_actions: int, cfg: dict[str, Any], layer_norm: bool, device: str
) -> OffPolicyModels:
    """Build policy and critics; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    from rsl_dpcppo.bridge.v5 import off_policy  # what it imports is not in 3.x

    return off_policy.make_off_policy_models(obs, num_actions, cfg, layer_norm, device)
