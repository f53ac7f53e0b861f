# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The generations of RSL-RL, and which is installed."""

from __future__ import annotations

from rsl_dpcppo.bridge.contract import Generation
from rsl_dpcppo.bridge.version import GENERATION


def find_generation(number: int = GENERATION) -> Generation:
    """Return the module that answers for a generation of RSL-RL, 3 or 5; by default the installed one."""
    if number == 3:
        from rsl_dpcppo.bridge import v3

        return v3
    from rsl_dpcppo.bridge import v5

    return v5


generation = find_generation()
"""The installed one."""
