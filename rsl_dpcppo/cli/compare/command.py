# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Compare agents over tasks and seeds: run what is missing, then write a table and learning curves."""

from __future__ import annotations

import argparse
import dataclasses
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO

from rsl_dpcppo.bridge.stopping import SIGNALS
from rsl_dpcppo.cli.arguments import parse_compare
from rsl_dpcppo.cli.compare.curves import draw, write_csv
from rsl_dpcppo.cli.compare.results import Result, read_result
from rsl_dpcppo.cli.compare.table import format_table
from rsl_dpcppo.cli.dispatch import DIVERGED
from rsl_dpcppo.cli.run_cfg import LOG_ROOT, load_agent, override
from rsl_dpcppo.config import RunnerCfg
from rsl_dpcppo.errors import ConfigError, StoppedError
from rsl_dpcppo.tasks.registry import find_task

TRAIN = (sys.executable, "-m", "rsl_dpcppo.cli", "train")
"""The command that trains one run."""

FREE = ("run_name", "max_iterations", "experiment_name")
"""Fields in which a run may differ from what is asked for now."""


def compare(arguments: list[str]) -> None:
    """Train every agent on every task with every seed, one after the other, and show how they compare.

    A run that is finished is not made again, and one that was cut off is continued.

    Args:
        arguments: Command line.
    """
    args, overrides = parse_compare(arguments)
    agents = args.agents.split(",")
    tasks = args.task.split(",")
    own = {name: [f"agent{text.removeprefix(name)}" for text in overrides[name]] for name in agents}
    changes = {agent: [*overrides["agent"], *own[agent]] for agent in agents}

    wanted = {(task, agent): _agent_cfg(args, task, agent, changes[agent]) for task in tasks for agent in agents}
    results, diverged = [], []
    for seed in range(1, args.seeds + 1):
        for (task, agent), cfg in wanted.items():
            cfg = dataclasses.replace(cfg, seed=seed, run_name=f"seed{seed}")
            cfg.experiment_name = f"{args.name}/{task}/{agent}".replace(":", "-")
            if _finish(cfg, task, agent, args.device, [*changes[agent], *overrides["env"]]):
                results.append(_read(cfg, task, agent))
            else:
                diverged.append(f"{agent} on {task}, seed {seed}")
    if not results:
        raise ConfigError(f"No run finished: {'; '.join(diverged)}. The ends of their logs say why.")
    folder = LOG_ROOT / args.name
    results.sort(key=lambda run: (tasks.index(run.task), agents.index(run.agent)))
    table = format_table(results, reference=agents[0])
    if diverged:
        table += f"\nNot in the table, because a loss became infinite: {'; '.join(diverged)}.\n"
    (folder / "table.md").write_text(table, encoding="utf-8")
    write_csv(results, folder / "curves.csv")
    draw(results, folder / "curves.png")
    print(f"\n{table}\n[INFO] Table, curves and picture: {folder.resolve()}")


def _agent_cfg(args: argparse.Namespace, task: str, agent: str, overrides: list[str]) -> RunnerCfg:
    """Return an agent's configuration as asked for."""
    cfg = find_task(task).make_agent(agent)
    cfg.num_envs, cfg.max_iterations = args.num_envs or cfg.num_envs, args.iterations or cfg.max_iterations
    return override(cfg, overrides)


def _finish(cfg: RunnerCfg, task: str, agent: str, device: str | None, overrides: list[str]) -> bool:
    """Run, or continue, one run unless it is finished; return False if it diverged."""
    folders = _folders(cfg)
    _check_same(cfg, folders)
    done = max((int(path.stem[6:]) + 1 for folder in folders for path in folder.glob("model_*.pt")), default=0)
    if done > cfg.max_iterations:
        raise ConfigError(f"'{folders[-1]}' has {done} iterations already; ask for as many, or give another --name.")
    if done == cfg.max_iterations and (folders[-1] / "evaluation.json").is_file():
        return True
    command = [*TRAIN, f"--task={task}", f"--agent={agent}", *([f"--device={device}"] if device else [])]
    command += [f"--seed={cfg.seed}", f"--num_envs={cfg.num_envs}", f"--run_name={cfg.run_name}"]
    command += [f"--experiment_name={cfg.experiment_name}", *overrides]
    if done:
        command += ["--resume", f"--load_run=.*_{cfg.run_name}$"]
    command += [f"--max_iterations={max(1, cfg.max_iterations - done)}"]
    print(f"[INFO] {task}, {agent}, seed {cfg.seed}: from iteration {done} to {cfg.max_iterations}", flush=True)
    log = LOG_ROOT / cfg.experiment_name / f"{cfg.run_name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        status = _run(command, file)
    if status == DIVERGED:
        print(f"[WARNING] The run diverged: {log}", flush=True)
    elif status:
        raise ConfigError(f"The run failed; the end of '{log}' says why.")
    return status == 0


def _run(command: list[str], log: TextIO) -> int:
    """Run a command to its end, and return its exit status. What ends this process ends it, after its iteration."""

    def stop(number: int, _: object) -> None:
        raise StoppedError(number, f"{signal.Signals(number).name}: stopped. The same command goes on from here.")

    before = {each: signal.signal(each, stop) for each in SIGNALS if each != signal.SIGINT}
    with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _read(cfg: RunnerCfg, task: str, agent: str) -> Result:
    return read_result(task, agent, cfg.seed, _folders(cfg), cfg.num_envs * cfg.num_steps_per_env)


def _folders(cfg: RunnerCfg) -> list[Path]:
    """Return the folders of a run and of its continuations, oldest first."""
    root = LOG_ROOT / cfg.experiment_name
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
    return [root / name for name in names if re.fullmatch(rf".*_{cfg.run_name}(_\d+)?", name)]


def _check_same(cfg: RunnerCfg, folders: list[Path]) -> None:
    """Refuse to mix runs of different settings."""
    for folder in folders:
        saved = load_agent(folder)
        if saved is None:
            continue
        if dataclasses.replace(saved, **{name: getattr(cfg, name) for name in FREE}) != cfg:
            raise ConfigError(f"'{folder}' was made with other settings; give this comparison another --name.")
