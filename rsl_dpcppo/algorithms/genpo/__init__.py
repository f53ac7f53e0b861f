# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO, "Generative Diffusion Models Meet On-Policy Reinforcement Learning" (arXiv 2505.18763)."""
