# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The generation of the RSL-RL that is installed."""

from __future__ import annotations

from rsl_dpcppo.bridge.contract import Generation
from rsl_dpcppo.bridge.version import GENERATION


def find_generation() -> Generation:
    """Return the module that answers for the installed RSL-RL."""
    if GENERATION == 3:
        from rsl_dpcppo.bridge import v3

        return v3
    from rsl_dpcppo.bridge import v5

    return v5


generation = find_generation()
