# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Comparisons on Isaac Lab's tasks, which its own script trains: the command of each run."""

from __future__ import annotations

import argparse
import itertools
import shlex
from collections.abc import Iterable, Sequence

from rsl_dpcppo.cli.compare.plan import Variant

TRAIN = ("isaaclab.sh", "-p", "scripts/train.py", "--headless")
"""The command that trains one run; 3.0 says ``uv run isaaclab train --rl_library rsl_rl`` instead."""


def is_of_isaaclab(task: str) -> bool:
    """Return whether a task is Isaac Lab's, by its id."""
    return task.rpartition(":")[2].startswith("Isaac")


def isaaclab_commands(tasks: Iterable[str], variants: Sequence[Variant], args: argparse.Namespace) -> list[str]:
    """Return the commands of all runs, for a shell. The run's name says its place in the comparison.

    Args:
        tasks: Ids of the tasks.
        variants: The agents.
        args: ``seeds``, ``name``, and, where they are not the task's own, ``num_envs`` and ``iterations``.
    """
    commands = []
    for seed, task, variant in itertools.product(range(1, args.seeds + 1), sorted(tasks), variants):
        name = "_".join(part for part in (args.name, *variant.choice.split(), f"seed{seed}") if part)
        command = [*TRAIN, "--task", task, "--agent", variant.agent, "--seed", str(seed), "--run_name", name]
        command += ["--num_envs", str(args.num_envs)] if args.num_envs else []
        command += ["--max_iterations", str(args.iterations)] if args.iterations else []
        commands.append(shlex.join([*command, *variant.overrides]))
    return commands
