# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train an agent: python scripts/train.py [--task MultiGoal-v0] [--agent dpcppo]. The same as rsl-dpcppo train.

Isaac Lab's tasks run through its own train.py: isaaclab.sh -p scripts/train.py --task Isaac-Ant-v0 --agent dpcppo
A project's run through the project's: --isaaclab-path PROJECT --task My-Task-v0
"""

import sys

from rsl_dpcppo.cli.main import run

if __name__ == "__main__":
    sys.exit(run("train"))
