# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Where the command ``rsl-dpcppo`` and the scripts begin. Imports next to nothing, so that an interrupt is one line."""

import sys


def main() -> None:
    """Run the command that the process's arguments name."""
    sys.exit(run())


def run(command: str = "") -> int:
    """Run a command with the process's arguments, and return the exit status.

    Args:
        command: Its name; by default the first of the arguments.
    """
    try:
        from rsl_dpcppo.cli.dispatch import dispatch

        return dispatch(command)
    except KeyboardInterrupt:
        print("\nInterrupted. Continue from the last checkpoint with --resume.", file=sys.stderr)
        return 130
