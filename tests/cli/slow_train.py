# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The command train on a task that takes its time, so that a test meets a training midway on any machine."""

import sys
import time
from typing import Any

from rsl_dpcppo.cli.main import run
from rsl_dpcppo.tasks.embedded.two_modes import TwoModesEnv

step = TwoModesEnv.step


def slow_step(self: TwoModesEnv, *args: Any) -> Any:
    time.sleep(0.05)
    return step(self, *args)


TwoModesEnv.step = slow_step  # type: ignore[method-assign]
sys.exit(run("train"))
