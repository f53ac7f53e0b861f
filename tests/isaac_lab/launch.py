# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs a script as ``python script args...`` would in an Isaac Lab environment, without a simulator.

    python launch.py <script> args...
    python launch.py -m <module> args...

The simulator's modules appear once the script has constructed an AppLauncher, and every Isaac Lab task that it makes
has the small environment. Tests call ``run``.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parents[1]


def run(*arguments: Any, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run this file in a process of its own.

    Args:
        arguments: A script (or "-m" and a module) and what follows it.
        cwd: Where logs/ and Hydra's outputs/ go.
        check: Fail where the script does.

    Returns:
        The finished process; its stdout has stderr too.
    """
    return execute(sys.executable, FOLDER / "launch.py", *arguments, cwd=cwd, check=check)


def execute(*command: Any, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command with one thread and this repository on its path."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    process = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    if check:
        assert process.returncode == 0, process.stdout[-6000:]
    return process


def main() -> None:
    """Install the fakes, then become the script."""
    sys.path[0] = str(Path.cwd()) if sys.argv[1] == "-m" else str(Path(sys.argv[1]).resolve().parent)
    sys.path.append(str(FOLDER))
    import fakes
    import gymnasium

    fakes.install(app_started=False)
    real_make = gymnasium.make

    def make(id: str, **kwargs: Any) -> gymnasium.Env:
        name = id.split(":")[-1]
        if isinstance(gymnasium.spec(name).entry_point, str):
            fakes.use_small_env(name)
        return real_make(id, **kwargs)

    gymnasium.make = make
    if sys.argv[1] == "-m":
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
