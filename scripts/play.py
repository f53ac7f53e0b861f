# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluate a trained policy: python scripts/play.py [--load_run RUN] [--noise zero]. The same as rsl-dpcppo play.

Isaac Lab's tasks run through its own play.py: isaaclab.sh -p scripts/play.py --task Isaac-Ant-v0 --agent dpcppo
A project's run through the project's: --isaaclab-path PROJECT --task My-Task-v0
"""

import sys

from rsl_dpcppo.cli.main import run

if __name__ == "__main__":
    sys.exit(run("play"))
