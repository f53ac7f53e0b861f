# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The tasks that need no simulator: their agents, and train, play and export from the command line."""
