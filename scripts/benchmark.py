# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Measure an iteration beside PPO's: python scripts/benchmark.py --quick. The same as rsl-dpcppo benchmark."""

import sys

from rsl_dpcppo.cli.main import run

if __name__ == "__main__":
    sys.exit(run("benchmark"))
