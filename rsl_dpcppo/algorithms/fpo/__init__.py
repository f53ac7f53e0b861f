# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""FPO, "Flow Matching Policy Gradients" (arXiv 2507.21053)."""
