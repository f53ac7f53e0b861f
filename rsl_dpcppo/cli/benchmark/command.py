# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Measure what an iteration costs beside one of stock PPO, in one process."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import math
import statistics
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg
from rsl_dpcppo.algorithms.registry import ALGORITHMS, peers
from rsl_dpcppo.cli.arguments import make_parser, parse, positive
from rsl_dpcppo.cli.benchmark.measure import PHASES, Counts, Learner, fold_interval, mean_seconds, minimum_gigaflops
from rsl_dpcppo.cli.benchmark.workload import SHAPES, SyntheticEnv, find_shape, make_agent
from rsl_dpcppo.cli.run_cfg import override
from rsl_dpcppo.cli.runs import find_device
from rsl_dpcppo.config import RunnerCfg, check_choice
from rsl_dpcppo.config.off_policy import OffPolicyRunnerCfg
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.metrics import peak_memory
from rsl_dpcppo.tasks.agents import to_peer, to_ppo
from rsl_dpcppo.tasks.registry import find_task

AGENTS = ("dpcppo", "dpcppo_fold")
"""Agents whose number of solver steps is varied."""

SCALES = (256, 1024, 4096, 16384, 65536)
"""Numbers of environments of --scaling."""

QUICK = {"num_envs": 256, "steps": 8, "repeats": 3}
"""What --quick sets."""


@dataclasses.dataclass
class Cost:
    """What an iteration of one learner costs."""

    seconds: dict[str, float]
    """Median seconds of each phase, and of the "iteration"."""
    ratio_to_ppo: float
    """Median over the repetitions of the iteration's time divided by that of PPO's iteration beside it."""
    memory_mib: float
    """Peak memory of this learner on a GPU; 0 on the CPU, where only the process has one."""
    counts: Counts
    """Operators, synchronisations and arithmetic."""
    minimum_gigaflops: float | None
    """Arithmetic that the algorithm asks for, where it was worked out: for PPO and DP-CPPO."""
    updates_per_second: float | None = None
    """Gradient steps of the critics in a second of the update, of learners with a replay buffer."""
    samples_per_second: float | None = None
    """The same in samples of the buffer."""


def benchmark(arguments: list[str]) -> None:
    """Time PPO and DP-CPPO in turn, and print medians, ratios and counts.

    Args:
        arguments: Command line.
    """
    parser = make_parser("Measure an iteration of DP-CPPO beside one of stock PPO. Learner only, unless told.")
    parser.set_defaults(task="ant")
    shapes = ", ".join(SHAPES)
    parser.add_argument("--num_envs", type=positive, help="number of environments (default: 4096)")
    parser.add_argument("--steps", type=positive, help="steps of a rollout (default: the paper's)")
    parser.add_argument("--agent", default="dpcppo", choices=AGENTS, help="agent to measure (default: %(default)s)")
    parser.add_argument("--flow_steps", default="4,8,16", help="numbers of solver steps (default: %(default)s)")
    names = ", ".join(peers())
    parser.add_argument("--peers", default="", help=f"other agents to measure, separated by commas: {names}")
    parser.add_argument("--repeats", type=positive, help="iterations of each learner, in whole periods (default: 7)")
    parser.add_argument("--step_ms", type=float, default=0.0, help="time of an environment step (default: 0)")
    parser.add_argument("--scaling", action="store_true", help=f"also with {SCALES} environments")
    parser.add_argument("--quick", action="store_true", help="a small size, a minute or two on two cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the phases as PNG")
    for action in parser._actions:
        if action.dest == "task":
            action.help = f"one of the paper's shapes ({shapes}; default: ant), or a task of rsl-dpcppo list-tasks"
    args, overrides = parse(parser, arguments)
    args.device = find_device(args.device)
    for name, value in (QUICK if args.quick else {"num_envs": 4096, "steps": 0, "repeats": 7}).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    costs = _measure(args, overrides["agent"], args.num_envs)
    print(_table(args, costs) + _table_of_updates(costs))
    figures: dict[str, Any] = {
        "task": args.task,
        "num_envs": args.num_envs,
        "device": _device_name(args.device),
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "rsl-rl-lib", "rsl-dpcppo")},
        "process_peak_mib": peak_memory(args.device),
        "ratio_to_ppo": {name: cost.ratio_to_ppo for name, cost in costs.items() if name != "ppo"},
        "costs": {name: dataclasses.asdict(cost) for name, cost in costs.items()},
    }
    if args.scaling:
        figures["scaling"] = _scaling(args, overrides["agent"])
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if args.plot:
        _draw(args, costs)


def _measure(args: argparse.Namespace, overrides: list[str], num_envs: int) -> dict[str, Cost]:
    """Return the cost of PPO ("ppo") and of the agent (by its number of solver steps), over whole fold periods."""
    cfgs, make_env, sizes = _learners(args, overrides, num_envs)
    memory = {name: _memory(cfg, make_env, args.device) for name, cfg in cfgs.items()}
    learners = {name: Learner(cfg, make_env(), args.device) for name, cfg in cfgs.items()}
    for name, learner in learners.items():
        for _ in range(fold_interval(cfgs[name])):
            learner.iterate()  # the first one allocates, and the first fold compiles
    times: dict[str, list[dict[str, float]]] = {name: [] for name in learners}
    period = max(map(fold_interval, cfgs.values()))
    for _ in range(math.ceil(args.repeats / period)):
        seconds = [{name: learner.iterate() for name, learner in learners.items()} for _ in range(period)]
        for name in learners:
            times[name].append(mean_seconds([iteration[name] for iteration in seconds]))
    base = [seconds["iteration"] for seconds in times["ppo"]]
    return {
        name: Cost(
            seconds={phase: statistics.median(s[phase] for s in times[name]) for phase in (*PHASES, "iteration")},
            ratio_to_ppo=statistics.median(s["iteration"] / b for s, b in zip(times[name], base, strict=True)),
            memory_mib=memory[name],
            counts=learner.count(fold_interval(cfgs[name])),
            minimum_gigaflops=None if name in ALGORITHMS else minimum_gigaflops(cfgs[name], *sizes),
            **_rates(cfgs[name], statistics.median(s["update"] for s in times[name])),
        )
        for name, learner in learners.items()
    }


def _learners(
    args: argparse.Namespace, overrides: list[str], num_envs: int
) -> tuple[dict[str, RunnerCfg], Callable[[], Any], tuple[int, int]]:
    """Return the agents to measure, what makes their environment, and the sizes of observation and action."""
    try:
        flow_steps = [positive(text) for text in args.flow_steps.split(",")]
    except (ValueError, argparse.ArgumentTypeError):
        raise ConfigError(f"--flow_steps is {args.flow_steps!r}; it must be whole numbers such as 4,8,16.") from None
    make_env: Callable[[], Any]
    if args.task in SHAPES or "-" not in args.task:
        shape = find_shape(args.task)
        make_env = partial(SyntheticEnv, shape, num_envs, args.device, args.step_ms / 1000.0)
        sizes = shape.num_observations, shape.num_actions
        agents = {k: make_agent(shape, num_envs, args.steps, k) for k in flow_steps}
    else:
        task = find_task(args.task)
        env = task.make_env(task.env_cfg(), num_envs, args.device, 0)
        make_env = partial(_same, env)  # one simulator, which the learners take turns on
        sizes = env.get_observations()["policy"].shape[-1], env.num_actions
        agents = {k: _agent_of_task(task.make_agent("dpcppo"), num_envs, args.steps, k) for k in flow_steps}
    if args.agent != "dpcppo":
        chosen: Any = {k: to_peer(cfg, args.agent) for k, cfg in agents.items()}
        agents = chosen
    agents = {k: override(cfg, overrides) for k, cfg in agents.items()}
    others = {name: _at_work(to_peer(agents[flow_steps[0]], name)) for name in _peer_names(args.peers)}
    return (
        {"ppo": to_ppo(agents[flow_steps[0]]), **{str(k): cfg for k, cfg in agents.items()}, **others},
        make_env,
        sizes,
    )


def _peer_names(text: str) -> list[str]:
    """Return the names in --peers."""
    names = [name for name in text.split(",") if name]
    for name in names:
        check_choice("--peers", name, tuple(peers()))
    return names


def _at_work(cfg: RunnerCfg) -> RunnerCfg:
    """Return an agent that learns from the first iteration on, if it would fill a replay buffer first."""
    if isinstance(cfg, OffPolicyRunnerCfg):
        cfg.algorithm.warmup_samples = 1
    return cfg


def _rates(cfg: RunnerCfg, update_seconds: float) -> dict[str, float]:
    """Return how many gradient steps and samples a second of a learner's updates makes, if it has a replay buffer."""
    if not isinstance(cfg, OffPolicyRunnerCfg):
        return {}
    updates = cfg.algorithm.updates_per_step * cfg.num_steps_per_env / update_seconds
    return {"updates_per_second": updates, "samples_per_second": updates * cfg.algorithm.batch_size}


def _agent_of_task(cfg: RunnerCfg, num_envs: int, num_steps: int, flow_steps: int) -> DPCPPORunnerCfg:
    assert isinstance(cfg, DPCPPORunnerCfg)
    cfg.num_envs, cfg.num_steps_per_env = num_envs, num_steps or cfg.num_steps_per_env
    cfg.actor.flow_steps = flow_steps
    return cfg


def _same(env: Any) -> Any:
    return env


def _memory(cfg: RunnerCfg, make_env: Callable[[], Any], device: str) -> float:
    """Return the most GPU memory that a learner and its environment take in two iterations, in MiB."""
    if torch.device(device).type != "cuda":
        return 0.0
    gc.collect()
    before = torch.cuda.memory_allocated(device) / 2**20
    torch.cuda.reset_peak_memory_stats(device)
    learner = Learner(cfg, make_env(), device)
    learner.iterate()
    learner.iterate()
    return torch.cuda.max_memory_allocated(device) / 2**20 - before


def _scaling(args: argparse.Namespace, overrides: list[str]) -> dict[int, dict[str, float]]:
    """Return the median seconds of an iteration by number of environments and learner, and print them."""
    seconds = {}
    print("\nSeconds of an iteration")
    for num_envs in SCALES:
        costs = _measure(args, overrides, num_envs)
        seconds[num_envs] = {name: cost.seconds["iteration"] for name, cost in costs.items()}
        row = "  ".join(f"{_name(name, args.agent)} {value:8.4f}" for name, value in seconds[num_envs].items())
        print(f"{num_envs:6d} environments: {row}", flush=True)
    return seconds


def _table(args: argparse.Namespace, costs: dict[str, Cost]) -> str:
    """Return the costs as plain text, one row a learner."""
    head = ["", "iteration", "/ PPO", *PHASES, "operators", "syncs", "GFLOP", "least", "MiB"]
    rows = [head]
    for name, cost in costs.items():
        milliseconds = [f"{1000 * cost.seconds[phase]:.1f}" for phase in ("iteration", *PHASES)]
        counts = [str(cost.counts.operators), str(cost.counts.synchronisations), f"{cost.counts.gigaflops:.1f}"]
        least = f"{cost.minimum_gigaflops:.1f}" if cost.minimum_gigaflops else "-"
        memory = f"{cost.memory_mib:.0f}" if cost.memory_mib else "-"
        ratio = f"{cost.ratio_to_ppo:.2f}"
        rows.append([_name(name, args.agent), milliseconds[0], ratio, *milliseconds[1:], *counts, least, memory])
    title = f"{args.task}, {args.num_envs} environments, {_device_name(args.device)}: milliseconds, medians of "
    return "\n".join([f"\n{title}at least {args.repeats} iterations in turn", *_aligned(rows)])


def _table_of_updates(costs: dict[str, Cost]) -> str:
    """Return the gradient steps of learners with a replay buffer, and their time beside SAC's if it was measured."""
    rates = {name: cost.updates_per_second for name, cost in costs.items() if cost.updates_per_second}
    if not rates:
        return ""
    base = rates.get("sac")
    rows = [["", "milliseconds", "/ SAC", "a second", "samples a second"]]
    for name, rate in rates.items():
        ratio = f"{base / rate:.2f}" if base else "-"
        rows.append([name, f"{1000 / rate:.2f}", ratio, f"{rate:.1f}", f"{costs[name].samples_per_second:,.0f}"])
    return "\n".join(["\n\nGradient steps on the replay buffer", *_aligned(rows)])


def _aligned(rows: list[list[str]]) -> list[str]:
    """Return the rows of a table as lines whose columns end alike."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _draw(args: argparse.Namespace, costs: dict[str, Cost]) -> None:
    """Draw the phases of each learner's iteration as stacked bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 0.6 * len(costs) + 1.4), dpi=120, layout="constrained")
    axes = figure.subplots()
    names = [_name(name, args.agent) for name in costs]
    left = [0.0] * len(costs)
    for phase, color in zip(PHASES, ("#999999", "#56B4E9", "#F0E442", "#0072B2", "#D55E00"), strict=True):
        values = [1000 * cost.seconds[phase] for cost in costs.values()]
        axes.barh(names, values, left=left, color=color, label=phase)
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds of an iteration")
    axes.legend(ncols=len(PHASES), fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.savefig(args.plot, format="png")


def _name(name: str, agent: str) -> str:
    return {"ppo": "PPO"}.get(name, f"{agent} k={name}" if name.isdigit() else name)


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "CPU"
