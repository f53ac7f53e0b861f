# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Importing this module registers the agents: Isaac Lab 3.0 imports it through the entry point ``isaaclab.tasks``."""

import isaaclab_tasks  # noqa: F401  registers the host's tasks, if nobody has yet

from isaaclab_tasks_cfg import register

register()
