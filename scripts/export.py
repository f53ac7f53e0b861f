# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Export a trained policy: python scripts/export.py [--load_run RUN] [--noise input]. The same as rsl-dpcppo export."""

import sys

from rsl_dpcppo.cli.main import run

if __name__ == "__main__":
    sys.exit(run("export"))
