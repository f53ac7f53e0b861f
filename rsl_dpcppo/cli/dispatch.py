# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Which command was meant, and how its errors reach the user."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from rsl_dpcppo import __version__
from rsl_dpcppo.errors import (
    CheckpointError,
    ConfigError,
    EnvError,
    ExportError,
    LaunchError,
    NonFiniteError,
    RankError,
    StoppedError,
)

COMMANDS = {
    "train": "train an agent",
    "play": "evaluate a trained policy, and film it where the task can be seen",
    "export": "export a trained policy to TorchScript and ONNX",
    "compare": "train several agents on several tasks with several seeds, and show how they compare",
    "benchmark": "measure what an iteration costs beside one of stock PPO",
    "list-tasks": "list the tasks of this machine with their agents",
}
"""The commands. Each is a module of :mod:`rsl_dpcppo.cli` with a function of its name, which takes the command line."""

LAUNCHERS = "rsl_dpcppo.launchers"
"""Entry points of hosts that train and play their tasks themselves. Each is a module with ``TITLE``,
``launches(arguments)``, which says whether a command line is theirs, ``run(command, arguments)``, and ``list_tasks()``;
the latter two raise LaunchError where the host is missing."""

DIVERGED = 3
"""Exit status of a run that was stopped because a loss became infinite or not a number."""

USER_ERRORS = (ConfigError, CheckpointError, EnvError, ExportError, LaunchError, NonFiniteError, RankError)
"""Errors that a user can mend: their message is all that is shown."""

STATUS = {NonFiniteError: DIVERGED, LaunchError: 1, RankError: 1}
"""Exit statuses of these; 2 for the others."""


def take_command() -> str:
    """Take the command's name off the process's arguments, and return it."""
    parser = argparse.ArgumentParser(
        prog="rsl-dpcppo",
        description="Flow policies for RSL-RL.",
        epilog="rsl-dpcppo COMMAND --help has the arguments of a command.\n\n"
        + "\n".join(f"  {name:12}{text}" for name, text in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rsl-dpcppo {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the command")
    args = parser.parse_args()
    sys.argv = [f"rsl-dpcppo {args.command}", *args.arguments]
    return args.command


def dispatch(command: str = "") -> int:
    """Run a command, by default the one that the process's arguments name, and return the exit status.

    Errors that a user can mend end it with one line. A host that launches itself is asked first, since its simulator
    has to start before torch.
    """
    command = command or take_command()
    arguments = sys.argv[1:]
    try:
        if command in ("train", "play"):
            for launcher in find_launchers():
                if launcher.launches(arguments):
                    launcher.run(command, arguments)
                    return 0
        parsers = import_module("rsl_dpcppo.cli.parsers").PARSERS
        if command in parsers:  # a wrong name ends here, before seconds are spent on importing torch
            parsers[command](arguments)
        name = command.replace("-", "_")
        with _writers_error_once():
            getattr(import_module(f"rsl_dpcppo.cli.{name}"), name)(arguments)
    except USER_ERRORS as error:
        print(f"Error: {error}", file=sys.stderr)
        return STATUS.get(type(error), 2)
    except StoppedError as error:
        print(error, file=sys.stderr)
        return 128 + error.signal
    except BrokenPipeError:  # whoever reads, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # the disk is full, or a file is in the way
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search("out of memory|allocate memory", str(error)):
            raise
        print(f"Error: out of memory; a smaller --num_envs needs less. {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _writers_error_once() -> Iterator[None]:
    """Leave out the traceback of TensorBoard's thread on a full disk: its writer raises the same where it is used."""
    before = threading.excepthook

    def show(failure: threading.ExceptHookArgs) -> None:
        if not (isinstance(failure.exc_value, OSError) and type(failure.thread).__name__ == "_AsyncWriterThread"):
            before(failure)

    threading.excepthook = show
    try:
        yield
    finally:
        threading.excepthook = before


def find_launchers() -> list[Any]:
    """Return the modules of the hosts that launch themselves."""
    return [entry_point.load() for entry_point in entry_points(group=LAUNCHERS)]
