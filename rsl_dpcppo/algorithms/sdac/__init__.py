# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""SDAC, soft diffusion actor-critic (arXiv 2502.00361)."""
