# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL 3.x: one policy class for actor and critic.

The names are those of :class:`~rsl_dpcppo.bridge.contract.Generation`.
"""

from __future__ import annotations

from typing import Any

from tensordict import TensorDict

from rsl_dpcppo.bridge.contract import OffPolicyModels
from rsl_dpcppo.bridge.v3.agent import (
    MODEL_SECTION,
    STOCK_MODEL,
    STOCK_NETWORK,
    STOCK_NORMALIZER,
    STOCK_PACKAGE,
    TAKES_OFF_POLICY,
    model_names,
    to_rsl_rl,
)
from rsl_dpcppo.bridge.v3.files import (
    collect_state,
    policy_state,
    rebuild_model,
    restore_state,
    train_mode,
    unclamped_std,
)
from rsl_dpcppo.bridge.v3.host import find_model, make_host
from rsl_dpcppo.bridge.v3.logs import close_writer, log_dir, log_owner, open_writer, returns, upload_model, writer
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.learning.policy import FlowPolicy

__all__ = [
    "MODEL_SECTION",
    "STOCK_MODEL",
    "STOCK_NETWORK",
    "STOCK_NORMALIZER",
    "STOCK_PACKAGE",
    "TAKES_OFF_POLICY",
    "close_writer",
    "collect_state",
    "find_model",
    "log_dir",
    "log_owner",
    "make_host",
    "make_off_policy_models",
    "model_class",
    "model_names",
    "open_writer",
    "policy_state",
    "rebuild_model",
    "restore_state",
    "returns",
    "to_rsl_rl",
    "train_mode",
    "unclamped_std",
    "upload_model",
    "writer",
]


def model_class(name: str, stem: str, policy_class: type[FlowPolicy]) -> Any:
    """Return a public model; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    # Not above: the dictionary of this generation can be had where the other one is installed.
    from rsl_dpcppo.bridge.v3.models import make_class

    return make_class(name, stem, policy_class)


def make_off_policy_models(
    obs: TensorDict, num_actions: int, cfg: dict[str, Any], layer_norm: bool, device: str
) -> OffPolicyModels:
    """Refuse; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    raise ConfigError(
        "Off-policy algorithms need rsl-rl-lib 5.x: the runner of 3.x builds and saves PPO's parts alone."
    )
