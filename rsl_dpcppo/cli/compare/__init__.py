# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How agents compare over tasks and seeds: the runs, a table and learning curves."""

from __future__ import annotations


def compare(arguments: list[str]) -> None:
    """Compare agents; see :func:`rsl_dpcppo.cli.compare.command.compare`.

    Args:
        arguments: Command line.
    """
    # Not before: reading the command line takes modules of this package, and neither torch nor what draws.
    from rsl_dpcppo.cli.compare.command import compare as run

    run(arguments)
