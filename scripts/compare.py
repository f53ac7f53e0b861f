# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Compare agents: python scripts/compare.py --task Gym-HalfCheetah-v5 --agents ppo,dpcppo --seeds 3."""

import sys
from functools import partial
from pathlib import Path

from rsl_dpcppo.cli.commands import guarded
from rsl_dpcppo.cli.compare import compare

if __name__ == "__main__":
    sys.exit(guarded(partial(compare, train_script=Path(__file__).with_name("train.py"))))
