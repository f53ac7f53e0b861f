# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Which Isaac Lab this package launches."""

from __future__ import annotations

SUPPORTED = "Isaac Lab 2.3 (rsl-rl-lib 3.0.1 to 3.3); Isaac Lab 3.0 launches itself: isaaclab train --agent dpcppo"
"""What this package can launch."""

INSTALL = (
    f"Supported: {SUPPORTED}. Install it as its documentation says, then run isaaclab.sh -p scripts/train.py, set "
    "ISAACLAB_PATH, or pass --isaaclab-path: its folder, or that of a project on it. The embedded tasks, such as "
    "MultiGoal-v0, run without it."
)
"""What to do where it is not there."""
