# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""One file an algorithm, and the terms of the objective as pure functions."""
