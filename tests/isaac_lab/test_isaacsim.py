# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The real thing, for a machine with Isaac Sim and a GPU.

isaaclab.sh -p -m pytest -m isaacsim (2.3), or pytest -m isaacsim in the project environment of 3.0.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rsl_dpcppo.bridge.version import GENERATION

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.isaacsim
@pytest.mark.timeout(1800)
@pytest.mark.skipif(importlib.util.find_spec("isaacsim") is None, reason="Isaac Sim is not installed")
def test_ant_trains(tmp_path: Path) -> None:
    """Two iterations of Isaac-Ant with the agent dpcppo."""
    if GENERATION == 3:
        if "ISAACLAB_PATH" not in os.environ:
            pytest.skip("ISAACLAB_PATH is not set; start pytest through isaaclab.sh -p -m pytest")
        train = [sys.executable, str(SCRIPTS / "train.py"), "--task", "Isaac-Ant-v0"]
    else:
        command = shutil.which("isaaclab")
        if command is None:
            pytest.skip("the isaaclab command of 3.0 is not on the path")
        train = [command, "train", "--rl_library", "rsl_rl", "--task", "Isaac-Ant"]
    arguments = ["--agent", "dpcppo", "--headless", "--num_envs", "64", "--max_iterations", "2"]
    subprocess.run([*train, *arguments], cwd=tmp_path, check=True)
    (checkpoint,) = tmp_path.glob("logs/rsl_rl/ant_dpcppo/*/model_1.pt")
    assert (checkpoint.parent / "params" / "agent.yaml").exists()
