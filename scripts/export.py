# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Export a trained policy: python scripts/export.py [--load_run RUN] [--noise input] [--flow_steps 4]."""

import sys

from rsl_dpcppo.cli.commands import export, guarded

if __name__ == "__main__":
    sys.exit(guarded(export))
