# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The command line of compare. Imports no torch; see :mod:`rsl_dpcppo.cli.arguments`."""

from __future__ import annotations

import argparse
import math

from rsl_dpcppo.cli.arguments import Parsed, make_parser, parse, positive
from rsl_dpcppo.cli.compare.isaaclab import is_of_isaaclab
from rsl_dpcppo.cli.compare.plan import PRESET, agent_variants
from rsl_dpcppo.cli.compare.study import SIZES, study_arguments
from rsl_dpcppo.config import check_name
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.importing import is_installed
from rsl_dpcppo.tasks.registry import find_task


def parse_compare(arguments: list[str]) -> Parsed:
    """Read the command line of compare; tasks, agents and metrics are lists.

    Raises:
        ConfigError: If it names what does not exist, or does not fit together.
    """
    parser = make_parser(
        "Compare agents: run what is missing, then write a table and learning curves. agent.x=y overrides a field of "
        "every agent, dpcppo.x=y one of that agent alone."
    )
    parser.add_argument("--agents", help="names, separated by commas (default: ppo,dpcppo; dpcppo with --vary)")
    parser.add_argument("--seeds", type=positive, default=3, help="number of seeds, from 1 (default: %(default)s)")
    parser.add_argument("--iterations", type=positive, help="iterations of each run (default: the agent's)")
    parser.add_argument("--num_envs", type=positive, help="number of environments (default: the agent's)")
    parser.add_argument(
        "--name", default="compare", help="folder of the comparison's runs, below logs/rsl_rl (default: %(default)s)"
    )
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="FIELD=VALUE,VALUE",
        help="train with each of these values of a field, such as agent.algorithm.score_coef=0,0.1; "
        f"'{PRESET}' is the agent's own. Several --vary: every combination",
    )
    parser.add_argument("--paired", action="store_true", help="the first values of all --vary together, and so on")
    parser.add_argument("--metrics", default="", help="what else to draw, by the names logged: entropy,flow_gap")
    parser.add_argument("--jobs", type=positive, help="runs at a time on this machine (default: 1)")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="train on a Ray cluster instead: 'auto' for the one that this machine is in, its HOST:PORT, or 'local' "
        "for one of this machine alone",
    )
    parser.add_argument(
        "--cores",
        type=positive,
        help="threads of a run (default: its share of the machine), and its CPUs with --ray (1)",
    )
    parser.add_argument("--gpus", type=_amount, default=0.0, help="GPUs of a run with --ray, such as 1 or 0.25 (0)")
    parser.add_argument(
        "--memory",
        type=_amount,
        metavar="GIB",
        help="a run waits until so much memory is free, and is ended if it takes more",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="try the values of --vary or --study on one task with Ray Tune, and stop early what earns little (ASHA)",
    )
    parser.add_argument(
        "--grace",
        type=positive,
        metavar="ITERATIONS",
        help="with --tune, iterations that each may make at least (default: a ninth of all)",
    )
    parser.add_argument("--study", help="a study of the paper, or a YAML file like those; a wrong name lists them")
    parser.add_argument("--size", choices=SIZES, default=SIZES[0], help="size of the study (default: %(default)s)")
    known = parser.parse_known_args(arguments)[0]
    if known.study is not None:
        arguments = [*study_arguments(known.study, known.size), *arguments]
        known = parser.parse_known_args(arguments)[0]
    agents = (known.agents or ("dpcppo" if known.vary else "ppo,dpcppo")).split(",")
    args, overrides = parse(parser, arguments, ("agent", "env", *agents))
    check_name("--name", args.name)
    args.task, args.agents = args.task.split(","), agents
    args.metrics = [name for name in args.metrics.split(",") if name]
    variants = agent_variants(agents, overrides, args.vary, args.paired)
    _check_place(args)
    _check_tune(args, len(variants))
    for task in args.task:
        for agent in () if is_of_isaaclab(task) else agents:
            find_task(task).make_agent(agent)
    return Parsed(args, overrides)


def _check_place(args: argparse.Namespace) -> None:
    """Check the flags that say where the runs are made.

    Raises:
        ConfigError: If they do not fit together, or Ray is missing.
    """
    if args.ray is None and not args.tune:
        if args.gpus:
            raise ConfigError(f"--gpus is {args.gpus:g}, which Ray counts: add --ray, or leave it out.")
        return
    flag = "--tune is given" if args.ray is None else f"--ray is '{args.ray}'"
    if args.jobs is not None:
        raise ConfigError(f"{flag}, and Ray has as many runs at a time as fit: leave --jobs out.")
    if not is_installed("ray"):
        raise ConfigError(f'{flag}, and Ray is not installed here: pip install -e ".[ray]"')
    if (args.device or "").startswith("cuda") and not args.gpus:
        raise ConfigError(f"--device is '{args.device}', and --gpus gives a run none: add --gpus 1, or a part of one.")


def _check_tune(args: argparse.Namespace, num_variants: int) -> None:
    """Check what --tune takes.

    Raises:
        ConfigError: If there is nothing to choose from, or more than one task to choose for.
    """
    if not args.tune:
        if args.grace is not None:
            raise ConfigError(f"--grace is {args.grace}, which is for --tune: add it, or leave --grace out.")
        return
    if len(args.task) > 1 or is_of_isaaclab(args.task[0]):
        raise ConfigError(
            f"--tune is for one task that trains here, and these are {', '.join(args.task)}: --task says which."
        )
    if num_variants < 2:
        raise ConfigError("--tune chooses between values: --vary, --study or --agents says which.")


def _amount(text: str) -> float:
    """Return a number above 0, for argparse."""
    value = float(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return value
