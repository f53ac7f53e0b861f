# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""FPO++, "Flow Policy Gradients for Robot Control" (arXiv 2602.02481)."""
