# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC, "Soft Actor-Critic" (arXiv 1812.05905), the baseline of the off-policy algorithms."""
