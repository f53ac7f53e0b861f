# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Values tried with Ray Tune: what earns little is stopped, and stays."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

from rsl_dpcppo.cli.compare.jobs import Job
from rsl_dpcppo.cli.compare.output import read_returns
from rsl_dpcppo.cli.compare.tuning import FINISHED, STOPPED, format_trials, grace_period

pytestmark = pytest.mark.slow

ITERATIONS, GRACE = 60, 6

ARGUMENTS = [
    "--task=TwoModes-v0",
    "--agents=ppo",
    "--seeds=1",
    f"--iterations={ITERATIONS}",
    "--num_envs=256",
    "agent.num_steps_per_env=64",
    "agent.save_interval=5",
    "--tune",
    f"--grace={GRACE}",
]


def tune(folder: Path, address: str, *more: str) -> str:
    command = [sys.executable, "-m", "rsl_dpcppo.cli", "compare", *ARGUMENTS, f"--ray={address}", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=300).stdout


def test_a_bad_value_is_stopped_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one core the good one comes first, so that the other has it to be measured by. A second time is the same."""
    from ray.cluster_utils import Cluster

    for name, value in {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    vary = "--vary=env.width=0.25,0.001"
    try:
        printed = tune(tmp_path, cluster.address, vary)
        again = tune(tmp_path, cluster.address, vary)
    finally:
        cluster.shutdown()
    root = tmp_path / "logs/rsl_rl/compare"
    table = (root / "tune.md").read_text()
    assert table in printed
    _, _, good, bad, _, advice = table.splitlines()
    assert good.startswith(f"| ppo width=0.25 | {FINISHED} | {ITERATIONS} | ")
    assert bad.startswith(f"| ppo width=0.001 | {STOPPED} | {GRACE} | ")
    assert advice == "To take: ppo width=0.25"
    logs = {path.parent.name: path for path in root.glob("*/ppo/*/seed1.log")}
    made = {name: len(read_returns(log)) for name, log in logs.items()}
    assert made["width=0.25"] == ITERATIONS
    assert GRACE <= made["width=0.001"] < ITERATIONS
    assert "SIGTERM: stopped. Saved" in logs["width=0.001"].read_text()
    (run,) = root.glob("*/ppo/width=0.001/*_seed1")
    assert (run / f"model_{made['width=0.001'] - 1}.pt").is_file()
    assert len((root / "curves.csv").read_text().splitlines()) == 1 + sum(made.values())
    assert table in again
    assert len(os.listdir(root / "TwoModes-v0/ppo/width=0.25")) == 2


def test_the_table_has_the_best_first() -> None:
    states = {"a": FINISHED, "b": STOPPED, "c": FINISHED, "d": STOPPED}
    rows = [Job(name, list, Path(), state=state) for name, state in states.items()]
    table = format_trials(rows, [(90, -2.0), (10, 9.0), (90, 1.0), (30, math.nan)])
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:6]] == ["c", "a", "d", "b"]
    assert table.splitlines()[-1] == "To take: c"
    rows[0].state = rows[2].state = "diverged"
    assert "None has made all its iterations." in format_trials(rows, [(90, math.nan)] * 4)


def test_grace_is_a_ninth_of_all_unless_given() -> None:
    assert [grace_period(n, None) for n in (1, 9, 100)] == [1, 1, 12]
    assert [grace_period(100, n) for n in (5, 500)] == [5, 100]
