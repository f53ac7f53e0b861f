# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluate a trained policy: python scripts/play.py [--load_run RUN] [--policy flow] [--noise zero].

Isaac Lab's tasks run through its own play.py: isaaclab.sh -p scripts/play.py --task Isaac-Ant-v0 --agent dpcppo
"""

import sys

from isaaclab_tasks_cfg.launch import LaunchError, is_isaaclab_task, run

if __name__ == "__main__":
    if is_isaaclab_task(sys.argv):
        try:
            run("play.py", sys.argv[1:])
        except LaunchError as error:
            sys.exit(f"Error: {error}")
    else:
        from rsl_dpcppo.cli.commands import guarded, play

        sys.exit(guarded(play))
