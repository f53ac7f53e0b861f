# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO with rare folds: PPO improves noise and action on a frozen flow, which takes both in from time to time."""
