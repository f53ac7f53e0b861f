# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train, play and export from the command line, on every task that this package launches itself."""
