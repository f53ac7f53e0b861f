# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What DP-CPPO costs beside stock PPO: time, memory, launches and arithmetic of an iteration."""
