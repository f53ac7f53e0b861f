# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Set before any test module imports MuJoCo, which chooses its graphics at that moment."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")
