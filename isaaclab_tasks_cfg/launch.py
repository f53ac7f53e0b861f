# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Launching Isaac Lab 2.3's own train.py and play.py with our agents registered.

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

SCRIPTS = Path("scripts") / "reinforcement_learning" / "rsl_rl"
"""Folder of the RSL-RL scripts in an Isaac Lab checkout."""


def launches(arguments: Sequence[str]) -> bool:
    """Return whether a command line names a task of Isaac Lab: --task Isaac-Ant-v0 or --task=Isaac-Ant-v0."""
    tasks = [after for flag, after in pairwise(arguments) if flag == "--task"]
    tasks += [argument.partition("=")[2] for argument in arguments if argument.startswith("--task=")]
    return any(task.rpartition(":")[2].startswith("Isaac") for task in tasks)


def run(command: str, arguments: Sequence[str]) -> None:
    """Run an unmodified script of Isaac Lab as if it had been started by itself.

    Args:
        command: "train" or "play".
        arguments: Command line, passed through but for --isaaclab-path.

    Raises:
        LaunchError: If Isaac Lab is missing or of an unsupported version.
    """
    path, rest = _take_path(list(arguments))
    checkout = find_checkout(path)
    target = checkout / SCRIPTS / f"{command}.py"
    when_imported("isaaclab_tasks", _register)
    sys.argv = [str(target), *rest]
    sys.path.insert(0, str(target.parent))  # where the script finds its own cli_args
    runpy.run_path(str(target), run_name="__main__")


def list_tasks() -> tuple[list[tuple[str, str]], Callable[[], None]]:
    """List Isaac Lab's tasks; see :func:`isaaclab_tasks_cfg.listing.list_isaaclab`."""
    from isaaclab_tasks_cfg.listing import list_isaaclab

    return list_isaaclab()


def find_checkout(path: str | None) -> Path:
    """Return the Isaac Lab checkout to use.

    Args:
        path: Given by the user, or None for the one that isaaclab.sh or the environment names.

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
            f"No Isaac Lab checkout is known: neither --isaaclab-path nor ISAACLAB_PATH is set, and {found}. {INSTALL}"
        )
    checkout = Path(given).expanduser()
    if not (checkout / SCRIPTS / "train.py").is_file():
        raise LaunchError(f"'{checkout}' has no {SCRIPTS / 'train.py'}, and {found}. {INSTALL}")
    version_file = checkout / "VERSION"
    release = version_file.read_text().strip() if version_file.is_file() else "unknown"
    if not release.startswith("2.3"):
        raise LaunchError(f"The Isaac Lab checkout '{checkout}' is of version {release}, and {found}. {INSTALL}")
    return checkout


def _take_path(arguments: list[str]) -> tuple[str | None, list[str]]:
    path, rest = None, []
    while arguments:
        argument = arguments.pop(0)
        if argument == "--isaaclab-path":
            if not arguments:
                raise LaunchError("--isaaclab-path needs the folder of an Isaac Lab checkout.")
            path = arguments.pop(0)
        elif argument.startswith("--isaaclab-path="):
            path = argument.partition("=")[2]
        else:
            rest.append(argument)
    return path, rest


def _register(_: ModuleType) -> None:
    from isaaclab_tasks_cfg import register

    register()
