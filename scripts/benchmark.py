# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Measure DP-CPPO beside stock PPO: python scripts/benchmark.py [--task ant] [--num_envs 4096] [--quick]."""

import sys

from rsl_dpcppo.cli.benchmark import benchmark
from rsl_dpcppo.cli.commands import guarded

if __name__ == "__main__":
    sys.exit(guarded(benchmark))
