# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Everything that differs between the hosts that DP-CPPO trains in."""
