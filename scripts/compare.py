# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Compare agents: python scripts/compare.py --agents ppo,dpcppo --seeds 3. The same as rsl-dpcppo compare."""

import sys

from rsl_dpcppo.cli.main import run

if __name__ == "__main__":
    sys.exit(run("compare"))
