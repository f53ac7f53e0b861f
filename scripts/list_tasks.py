# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""List this machine's tasks with their agents: python scripts/list_tasks.py. The same as rsl-dpcppo list-tasks."""

import sys

from rsl_dpcppo.cli.main import run

if __name__ == "__main__":
    sys.exit(run("list-tasks"))
