# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DPPO, "Diffusion Policy Policy Optimization" (arXiv 2409.00588), trained from scratch."""
