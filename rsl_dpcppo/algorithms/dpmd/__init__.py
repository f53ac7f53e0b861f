# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DPMD, diffusion policy mirror descent (arXiv 2502.00361)."""
