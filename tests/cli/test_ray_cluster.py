# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs on a Ray cluster of two nodes: a node is lost, the comparison itself is killed, and nothing of the runs is."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rsl_dpcppo.cli.compare.results import read_result

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow

ITERATIONS = 150

DRIVER = f"""
import sys
from rsl_dpcppo.cli.compare import progress
from rsl_dpcppo.cli.main import run
progress.TRAIN = (sys.executable, {str(Path(__file__).with_name("slow_train.py"))!r})
sys.exit(run("compare"))
"""

ARGUMENTS = [
    "--task=TwoModes-v0",
    "--agents=ppo",
    "--seeds=2",
    f"--iterations={ITERATIONS}",
    "--num_envs=8",
    "agent.num_steps_per_env=4",
    "agent.save_interval=4",
]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes with a core each; the first has the driver."""
    from ray.cluster_utils import Cluster

    for name in ("health_check_period_ms", "health_check_timeout_ms", "health_check_initial_delay_ms"):
        monkeypatch.setenv(f"RAY_{name}", "2000")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@contextlib.contextmanager
def driver(folder: Path, address: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, f"--ray={address}", *ARGUMENTS, *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.1)


def checkpoints(folder: Path, seed: int) -> set[int]:
    paths = folder.glob(f"logs/rsl_rl/compare/TwoModes-v0/ppo/*_seed{seed}*/model_*.pt")
    return {int(path.stem[6:]) for path in paths}


def trainings() -> list[psutil.Process]:
    """Return the trainings that run."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(part.endswith("slow_train.py") for part in process.info["cmdline"] or []):
            found.append(process)
    return found


def begins(text: str, seed: int) -> list[int]:
    """Return the iterations from which a run was begun."""
    return [int(number) for number in re.findall(rf"seed {seed}: from iteration (\d+) to {ITERATIONS}", text)]


def newest(folder: Path) -> dict[int, int]:
    return {seed: max(checkpoints(folder, seed), default=0) for seed in (1, 2)}


def have_passed(folder: Path, before: dict[int, int]) -> bool:
    return all(number > before[seed] for seed, number in newest(folder).items())


def test_nothing_is_lost(cluster: Any, tmp_path: Path) -> None:
    """A node is lost, the comparison is killed, and it is asked to stop. What had arrived is not trained again."""
    runs = tmp_path / "logs/rsl_rl/compare/TwoModes-v0/ppo"
    with driver(tmp_path, cluster.address) as process:
        wait_until(lambda: have_passed(tmp_path, {1: 0, 2: 0}), process)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        at_loss = newest(tmp_path)
        cluster.add_node(num_cpus=1)
        wait_until(lambda: len(list(runs.glob("*_seed*/"))) == 3, process)
        process.send_signal(signal.SIGKILL)
        printed, _ = process.communicate()
    survivor, moved = sorted((1, 2), key=lambda seed: len(begins(printed, seed)))
    assert begins(printed, survivor) == [0]
    assert begins(printed, moved) == [0, at_loss[moved] + 1]
    assert printed.count("killed; taken up again") == 1
    end = time.monotonic() + 60.0
    while trainings():  # they end with the driver
        assert time.monotonic() < end
        time.sleep(0.2)

    at_kill = newest(tmp_path)
    assert all(at_loss[seed] <= at_kill[seed] < ITERATIONS - 1 for seed in (1, 2))
    with driver(tmp_path, cluster.address) as process:
        wait_until(lambda: have_passed(tmp_path, at_kill), process)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 128 + signal.SIGINT, printed
    assert [begins(printed, seed) for seed in (1, 2)] == [[at_kill[seed] + 1] for seed in (1, 2)]
    for seed in (1, 2):
        saved = re.findall(r"SIGTERM: stopped\. Saved: \S*/model_(\d+)\.pt", (runs / f"seed{seed}.log").read_text())
        assert [int(number) for number in saved] == [newest(tmp_path)[seed]]

    at_stop = newest(tmp_path)
    assert all(number < ITERATIONS - 1 for number in at_stop.values())
    with driver(tmp_path, cluster.address) as process:
        printed, _ = process.communicate(timeout=240)
        assert process.returncode == 0, printed
    assert "2 of 2 runs have ended" in printed
    assert "| TwoModes-v0 | ppo |" in (runs.parent.parent / "table.md").read_text()
    for seed in (1, 2):
        assert begins(printed, seed) == [at_stop[seed] + 1]
        folders = sorted(runs.glob(f"*_seed{seed}*/"))
        assert len(folders) == (4 if seed == moved else 3)
        curve = read_result("TwoModes-v0", "ppo", seed, folders, batch=1).curve
        assert list(curve.iterations) == list(range(1, ITERATIONS + 1))
