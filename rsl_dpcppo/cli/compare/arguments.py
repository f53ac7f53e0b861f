# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The command line of compare. Imports no torch; see :mod:`rsl_dpcppo.cli.arguments`."""

from __future__ import annotations

from rsl_dpcppo.cli.arguments import Parsed, make_parser, parse, positive
from rsl_dpcppo.cli.compare.isaaclab import is_of_isaaclab
from rsl_dpcppo.cli.compare.plan import PRESET, agent_variants
from rsl_dpcppo.cli.compare.study import SIZES, study_arguments
from rsl_dpcppo.config import check_name
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
    parser.add_argument("--jobs", type=positive, default=1, help="runs at a time (default: %(default)s)")
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
    agent_variants(agents, overrides, args.vary, args.paired)
    for task in args.task:
        for agent in () if is_of_isaaclab(task) else agents:
            find_task(task).make_agent(agent)
    return Parsed(args, overrides)
