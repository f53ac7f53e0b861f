# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How agents compare over tasks and seeds: the runs, a table and learning curves."""

from rsl_dpcppo.cli.compare.command import compare

__all__ = ["compare"]
