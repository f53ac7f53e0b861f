# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""``python -m rsl_dpcppo.cli COMMAND``: the command ``rsl-dpcppo`` of the Python that runs it."""

from rsl_dpcppo.cli.main import main

if __name__ == "__main__":
    main()
