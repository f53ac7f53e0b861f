# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The adapters of the installed RSL-RL generation, under one name each."""

from rsl_dpcppo.hosts.rsl_rl.version import GENERATION

if GENERATION == 3:
    from rsl_dpcppo.hosts.rsl_rl.v3 import FLOW_MODEL, MODEL_FIELD, HostPPO, collect_state, restore_state, upload_model
else:
    from rsl_dpcppo.hosts.rsl_rl.v5 import FLOW_MODEL, MODEL_FIELD, HostPPO, collect_state, restore_state, upload_model

__all__ = ["FLOW_MODEL", "MODEL_FIELD", "HostPPO", "collect_state", "restore_state", "upload_model"]
