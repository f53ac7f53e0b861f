# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""One folder an algorithm: its fields, its policy, the terms of its objective, and its update."""
