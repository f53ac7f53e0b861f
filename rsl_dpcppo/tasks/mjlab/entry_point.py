# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Importing this module registers the tasks: mjlab imports it through the entry point ``mjlab.tasks``."""

import warnings
from importlib.metadata import version

from packaging.version import Version

found = version("mjlab")
if Version(found).release[:2] == (1, 6):
    from rsl_dpcppo.tasks.mjlab.tasks import register

    register()
else:
    # An exception would reach the user as a traceback, on every command of a host that works but for this package.
    warnings.warn(
        f"mjlab {found} is installed; rsl-dpcppo supports mjlab 1.6.x, and registers no task with this one. "
        "Try: pip install 'mjlab==1.6.*'",
        stacklevel=2,
    )
