# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL 3.x: one policy class for actor and critic. The names are those of :class:`~rsl_dpcppo.bridge.contract.Generation`."""

from rsl_dpcppo.bridge.v3.agent import MODEL_SECTION, STOCK_MODEL, to_rsl_rl
from rsl_dpcppo.bridge.v3.files import collect_state, policy_state, rebuild_model, restore_state, upload_model
from rsl_dpcppo.bridge.v3.host import find_model, make_host
from rsl_dpcppo.bridge.v3.models import model_class, model_names

__all__ = [
    "MODEL_SECTION",
    "STOCK_MODEL",
    "collect_state",
    "find_model",
    "make_host",
    "model_class",
    "model_names",
    "policy_state",
    "rebuild_model",
    "restore_state",
    "to_rsl_rl",
    "upload_model",
]
