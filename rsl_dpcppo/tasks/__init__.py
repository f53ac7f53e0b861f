# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Everything that one can train on: tasks of this package's own, and those of other simulators and frameworks."""
