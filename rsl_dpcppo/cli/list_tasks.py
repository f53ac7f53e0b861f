# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""List the tasks of this machine."""

from __future__ import annotations

import argparse

from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.cli.dispatch import find_launchers
from rsl_dpcppo.errors import ConfigError, LaunchError


def list_tasks(arguments: list[str]) -> None:
    """Print every task known on this machine with its agents, and why a host is absent."""
    argparse.ArgumentParser(description=list_tasks.__doc__).parse_args(arguments)
    started = []
    for launcher in find_launchers():
        try:
            started.append((launcher.TITLE, *launcher.list_tasks()))
        except LaunchError as error:
            print(f"\n{launcher.TITLE}: absent. {error}")

    # After the simulators, which have to start before torch is imported.
    from rsl_dpcppo.tasks.registry import host_modules

    for prefix, host in host_modules().items():
        try:
            names = host.task_names()
        except ConfigError as error:
            print(f"\n{host.TITLE}: absent. {error}")
            continue
        _print(host.TITLE, [(prefix + name, ", ".join(host.find(name).agents)) for name in names])
    *endings, last = (f"-{name.upper()}" for name in ALGORITHMS)
    ours = f"those that end in {', '.join(endings)} or {last} are ours"
    print(f"\nmjlab: list-envs, its own command, lists its tasks; {ours}.")
    for title, rows, close in started:
        _print(title, rows)
        close()


def _print(title: str, rows: list[tuple[str, str]]) -> None:
    """Print the tasks of one host under its name."""
    print(f"\n{title}")
    width = max((len(task) for task, _ in rows), default=0)
    for task, remarks in rows:
        print(f"  {task:{width}}  {remarks}")
