# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO, "Diffusion Policy through Conditional PPO" (arXiv 2603.04790)."""
