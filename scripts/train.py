# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train an agent: python scripts/train.py [--task MultiGoal-v0] [--agent dpcppo]."""

import sys

from rsl_dpcppo.hosts.embedded.cli import guarded, train

if __name__ == "__main__":
    sys.exit(guarded(train))
