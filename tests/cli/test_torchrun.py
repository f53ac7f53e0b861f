# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""torchrun scripts/train.py --distributed: two processes on this machine's CPU."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_dpcppo.cli.distributed import device_of, find_place
from rsl_dpcppo.cli.run_cfg import load_agent
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.learning.ranks import Place

PROBE = Path(__file__).with_name("rank_probe.py")
TINY = [
    "--task=TwoModes-v0",
    "--device=cpu",
    "--verbose",
    "--num_envs=16",
    "agent.num_steps_per_env=4",
    "agent.save_interval=1",
    "agent.algorithm.flow_num_epochs=2",
    "agent.actor.hidden_dims=[16]",
    "agent.actor.flow_hidden_dims=[16]",
    "agent.critic.hidden_dims=[16]",
]


def launch(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start two processes in a folder, as torchrun does."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(PROBE), "--distributed", *TINY]
    return subprocess.Popen(
        [sys.executable, *command, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROBE.parents[2]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Return all that is printed."""
    return process.communicate(timeout=500)[0]


def ranks(folder: Path) -> list[dict[str, Any]]:
    """Return what each process left after its last update."""
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "logs/rsl_rl/two_modes").iterdir())


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in run.glob("model_*.pt"))


def assert_alike(folder: Path) -> None:
    """Both processes have the same weights, not from the same numbers."""
    first, second = ranks(folder)
    for section, weights in first["weights"].items():
        for name, weight in weights.items():
            assert torch.equal(weight, second["weights"][section][name]), name
    assert (first["seed"], second["seed"]) == (7, 8)


@pytest.mark.slow
def test_two_processes_train_resume_and_fail_as_one(tmp_path: Path) -> None:
    process = launch(tmp_path, "--max_iterations=2", "--seed=7")
    output = finish(process)
    assert process.returncode == 0, output
    assert_alike(tmp_path)
    (run,) = runs(tmp_path)
    assert checkpoints(run) == ["model_0.pt", "model_1.pt"]
    assert len(list(run.glob("events.out.tfevents.*"))) == 1
    assert (run / "evaluation.json").exists()
    assert output.count("Learning iteration 1/2") == output.count("Logging experiment in directory") == 1
    assert re.search(r"Total (time)?steps: +256\b", output)  # 2 processes x 16 environments x 4 steps x 2 iterations
    cfg = load_agent(run)
    assert cfg is not None
    assert cfg.seed == 7

    began = time.monotonic()
    process = launch(tmp_path, "--max_iterations=100000", "--resume", FAILS="1")
    output = finish(process)
    assert process.returncode != 0
    assert output.count("RuntimeError: the simulator is gone") >= 1
    assert "Error: Another process of this training has ended" in output
    assert time.monotonic() - began < 300
    assert_alike(tmp_path)
    resumed = runs(tmp_path)[1]
    assert checkpoints(resumed) == ["model_2.pt"]
    last = torch.load(resumed / "model_2.pt", weights_only=True)
    for section, weights in ranks(tmp_path)[0]["weights"].items():
        assert all(torch.equal(weight, last[section][name]) for name, weight in weights.items())


@pytest.mark.slow
def test_a_signal_ends_both_after_the_same_iteration(tmp_path: Path) -> None:
    process = launch(tmp_path, "--max_iterations=100000")
    while process.poll() is None and not (tmp_path / "rank0.pt").exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output = finish(process)
    saved = re.search(r"SIGTERM: stopped. Saved: (.*). Continue with --resume", output)
    assert saved, output
    last = torch.load(tmp_path / saved[1], weights_only=True)
    for rank in ranks(tmp_path):
        for section, weights in rank["weights"].items():
            assert all(torch.equal(weight, last[section][name]) for name, weight in weights.items())


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)


def test_without_torchrun_it_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert find_place(distributed=False) == Place(0, 0, 1)
    with pytest.raises(ConfigError, match=r"torchrun --nproc_per_node N scripts/train\.py --distributed"):
        train(["--distributed"])


@pytest.mark.usefixtures("second_of_two")
def test_torchrun_without_the_flag_is_refused() -> None:
    assert find_place(distributed=True) == Place(3, 1, 4)
    with pytest.raises(ConfigError, match="WORLD_SIZE is 4, so this is one process of several: add --distributed"):
        train([])


@pytest.mark.usefixtures("second_of_two")
@pytest.mark.parametrize("device", [["--device=cpu"], []])
def test_what_takes_one_process_is_refused_before_an_environment_is_built(
    monkeypatch: pytest.MonkeyPatch, device: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # which a process other than 0 gives up
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"agent\.algorithm\.base_action_baseline is True, which takes one process"):
        train(["--distributed", *device, "agent.algorithm.base_action_baseline=True"])


def test_each_process_has_its_machines_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process of the second node has that node's second GPU."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of(Place(3, 1, 4), "cuda:0") == "cuda:1"
    assert device_of(Place(3, 1, 4), "cpu") == "cpu"
    assert device_of(Place(), "cuda:1") == "cuda:1"
    with pytest.raises(ConfigError, match="LOCAL_RANK is 2, and this machine has 2 GPUs"):
        device_of(Place(2, 2, 4), "cuda")
