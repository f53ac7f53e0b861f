# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluate a trained policy: python scripts/play.py [--load_run RUN] [--policy flow] [--noise zero]."""

import sys

from rsl_dpcppo.hosts.embedded.cli import guarded, play

if __name__ == "__main__":
    sys.exit(guarded(play))
