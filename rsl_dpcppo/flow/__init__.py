# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Flow policies in plain torch: velocity field, sampler and flow-matching fit. Knows no RSL-RL and no task."""
