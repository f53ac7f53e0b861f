# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What an iteration costs beside one of stock PPO: time, memory, launches and arithmetic."""

from rsl_dpcppo.cli.benchmark.command import benchmark

__all__ = ["benchmark"]
