# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Our agents for mjlab's tasks, which its own ``train``, ``play`` and ``list-envs`` then find."""
