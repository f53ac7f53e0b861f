# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Launching the train.py and play.py of Isaac Lab 2.3, or of a project on it, with our agents registered.

One of the launchers that :mod:`rsl_dpcppo.cli.dispatch` finds. Imports neither torch nor Isaac Lab: the simulator has
to start first.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from isaaclab_tasks_cfg.supported import INSTALL
from rsl_dpcppo.errors import LaunchError
from rsl_dpcppo.importing import when_imported

TITLE = "Isaac Lab"
"""What the list of tasks calls this host."""

SCRIPTS = (Path("scripts/reinforcement_learning/rsl_rl"), Path("scripts/rsl_rl"))
"""Where the RSL-RL scripts are: in Isaac Lab and robot_lab, and in a project made from Isaac Lab's template."""

PATH_FLAG = "--isaaclab-path"
"""What names the folder of Isaac Lab or of the project."""


def launches(arguments: Sequence[str]) -> bool:
    """Return whether a command line is for Isaac Lab: with --isaaclab-path, or a task like Isaac-Ant-v0."""
    if any(argument.partition("=")[0] == PATH_FLAG for argument in arguments):
        return True
    tasks = [after for flag, after in pairwise(arguments) if flag == "--task"]
    tasks += [argument.partition("=")[2] for argument in arguments if argument.startswith("--task=")]
    return any(task.rpartition(":")[2].startswith("Isaac") for task in tasks)


def run(command: str, arguments: Sequence[str]) -> None:
    """Run an unmodified script of Isaac Lab, or of a project on it, as if it had been started by itself.

    Args:
        command: "train" or "play".
        arguments: Command line, passed through but for --isaaclab-path.

    Raises:
        LaunchError: If Isaac Lab is missing or of an unsupported version, or if the script knows no such task.
    """
    path, rest = _take_path(list(arguments))
    target = find_script(path, command)
    when_imported("isaaclab_tasks", _register)
    sys.argv = [str(target), *rest]
    sys.path.insert(0, str(target.parent))  # where the script finds its own cli_args
    try:
        runpy.run_path(str(target), run_name="__main__")
    except Exception as error:
        from gymnasium.error import UnregisteredEnv  # not before the simulator has started

        if not isinstance(error, UnregisteredEnv):
            raise
        raise LaunchError(
            f"{error} The tasks are those that {target} imports: for a project's, give its folder to {PATH_FLAG}."
        ) from error


def list_tasks() -> tuple[list[tuple[str, str]], Callable[[], None]]:
    """List Isaac Lab's tasks; see :func:`isaaclab_tasks_cfg.listing.list_isaaclab`."""
    from isaaclab_tasks_cfg.listing import list_isaaclab

    return list_isaaclab()


def find_script(path: str | None, command: str) -> Path:
    """Return the script to run.

    Args:
        path: Folder of an Isaac Lab checkout or of a project on it; None takes the checkout that isaaclab.sh or the
            environment names.
        command: "train" or "play".

    Raises:
        LaunchError: Says what was found, what is supported and how to get it.
    """
    try:
        found = f"isaaclab {version('isaaclab')} is installed"
    except PackageNotFoundError:
        found = "isaaclab is not installed in this Python"
    given = path or os.environ.get("ISAACLAB_PATH")
    if given is None:
        raise LaunchError(
            f"No Isaac Lab checkout is known: neither {PATH_FLAG} nor ISAACLAB_PATH is set, and {found}. {INSTALL}"
        )
    root = Path(given).expanduser()
    names = [scripts / f"{command}.py" for scripts in SCRIPTS]
    name = next((name for name in names if (root / name).is_file()), None)
    if name is None:
        raise LaunchError(f"'{root}' has no {' and no '.join(map(str, names))}, and {found}. {INSTALL}")
    if (root / "source" / "isaaclab").is_dir():  # Isaac Lab itself: a project has a version of its own
        version_file = root / "VERSION"
        release = version_file.read_text().strip() if version_file.is_file() else "unknown"
        if not release.startswith("2.3"):
            raise LaunchError(f"The Isaac Lab checkout '{root}' is of version {release}, and {found}. {INSTALL}")
    return root / name


def _take_path(arguments: list[str]) -> tuple[str | None, list[str]]:
    path, rest = None, []
    while arguments:
        argument = arguments.pop(0)
        if argument == PATH_FLAG:
            if not arguments:
                raise LaunchError(f"{PATH_FLAG} needs the folder of an Isaac Lab checkout or of a project.")
            path = arguments.pop(0)
        elif argument.startswith(f"{PATH_FLAG}="):
            path = argument.partition("=")[2]
        else:
            rest.append(argument)
    return path, rest


def _register(_: ModuleType) -> None:
    from isaaclab_tasks_cfg import register

    register()
