# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Training on a real task of MuJoCo Playground from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from rsl_dpcppo.cli.export import export
from rsl_dpcppo.cli.play import play
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.errors import ConfigError

pytest.importorskip("mujoco_playground")

TASK = "Playground-ReacherEasy"
SMALL = ["--num_envs=64", "agent.actor.hidden_dims=[128,128]", "agent.critic.hidden_dims=[128,128]"]
SHORT = [*SMALL, "agent.algorithm.flow_num_epochs=5", "agent.algorithm.flow_ema_decay=0.99"]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def only_run(experiment: str) -> Path:
    (run,) = (Path("logs/rsl_rl") / experiment).iterdir()
    return run


def evaluation(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "evaluation.json").read_text())


def test_dpcppo_learns_to_reach() -> None:
    """A policy that does nothing gets some 30 of 1,000."""
    train([f"--task={TASK}", "--seed=1", "--max_iterations=120", "--experiment_name=long", *SHORT])
    trained = evaluation(only_run("long"))
    assert set(trained) == {"Flow", "Flow+Res", "Flow+Res, zero noise"}
    for figures in trained.values():
        assert figures["num_episodes"] == 64
        assert figures["mean_length"] == 1000.0
        assert figures["mean_return"] > 200


def test_play_films_and_export_and_resume_work(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SHORT[1:], "--num_envs=8", "agent.num_steps_per_env=8", "env.episode_length=40"]
    train([f"--task={TASK}", "--max_iterations=2", *arguments])
    run = only_run(f"{TASK}_dpcppo")
    env = yaml.safe_load((run / "params/env.yaml").read_text())
    assert (env["episode_length"], env["impl"]) == (40, "jax")
    play([f"--task={TASK}", "--num_envs=8", "--video_length=10"])
    row = evaluation(run / "play")
    assert {figures["mean_length"] for figures in row.values()} == {40.0}
    assert (run / "play/policy.mp4").stat().st_size > 1000
    export([f"--task={TASK}"])
    assert (run / "exported/policy.onnx").is_file()
    train([f"--task={TASK}", "--resume", "--max_iterations=1", *arguments])
    assert max(torch.load(path)["iter"] for path in Path("logs").rglob("model_*.pt")) == 2
    printed = capsys.readouterr().out
    assert "[INFO] Compiling ReacherEasy for 8 environments" in printed
    assert "No video" not in printed


def test_wrong_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'ReacherEasy'"):
        train(["--task=Playground-ReacherEsy", "--max_iterations=1"])
    assert not Path("logs").exists()
