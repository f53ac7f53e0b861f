# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train an agent: python scripts/train.py [--task MultiGoal-v0] [--agent dpcppo].

Isaac Lab's tasks run through its own train.py: isaaclab.sh -p scripts/train.py --task Isaac-Ant-v0 --agent dpcppo
"""

import sys

from isaaclab_tasks_cfg.launch import LaunchError, is_isaaclab_task, run

if __name__ == "__main__":
    if is_isaaclab_task(sys.argv):
        try:
            run("train.py", sys.argv[1:])
        except LaunchError as error:
            sys.exit(f"Error: {error}")
    else:
        from rsl_dpcppo.cli.commands import guarded, train

        sys.exit(guarded(train))
