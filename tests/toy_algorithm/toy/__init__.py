# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""An algorithm as a contributor writes one: the flow is fitted to the rollout's actions, the better ones more."""
