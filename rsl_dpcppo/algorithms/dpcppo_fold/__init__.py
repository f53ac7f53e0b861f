# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO with rare folds: the flow is frozen while PPO trains the residual, then fitted to what that has become."""
