# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Training on a real Gymnasium task from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from rsl_dpcppo.cli.export import export
from rsl_dpcppo.cli.play import play
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.errors import ConfigError

pytest.importorskip("mujoco")

TASK = "Gym-InvertedPendulum-v5"


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def only_run(agent: str = "dpcppo") -> Path:
    (run,) = Path(f"logs/rsl_rl/{TASK}_{agent}").iterdir()
    return run


def evaluation(folder: Path) -> dict[str, float]:
    row = json.loads((folder / "evaluation.json").read_text())
    return {name: figures["mean_return"] for name, figures in row.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "policies"),
    [("dpcppo", {"Flow", "Flow+Res", "Flow+Res, zero noise"}), ("ppo", {"Gaussian PPO"})],
)
def test_both_agents_learn_to_balance(agent: str, policies: set[str]) -> None:
    """An untrained policy falls after some 10 steps; 1,000 is the most that there is."""
    train([f"--task={TASK}", f"--agent={agent}", "--seed=1", "--max_iterations=1"])
    untrained = evaluation(only_run(agent))
    train([f"--task={TASK}", f"--agent={agent}", "--seed=1", "--max_iterations=45", "--experiment_name=long"])
    (run,) = Path("logs/rsl_rl/long").iterdir()
    trained = evaluation(run)
    assert set(trained) == set(untrained) == policies
    assert max(untrained.values()) < 100
    assert min(trained.values()) > 500


def test_play_films_and_export_and_resume_work(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--num_envs=4", "agent.num_steps_per_env=8"]
    train([f"--task={TASK}", "--max_iterations=2", "env.max_episode_steps=50", "env.vectorization=async", *small])
    run = only_run()
    env = yaml.safe_load((run / "params/env.yaml").read_text())
    assert (env["max_episode_steps"], env["vectorization"]) == (50, "async")
    play([f"--task={TASK}", "--num_envs=3", "--video_length=20", "--policy=flow"])
    row = json.loads((run / "play/evaluation.json").read_text())
    assert row["Flow"]["num_episodes"] == 3
    assert row["Flow"]["mean_length"] <= 50  # the run's own limit
    assert (run / "play/policy.mp4").stat().st_size > 1000
    export([f"--task={TASK}", "--noise=input"])
    assert (run / "exported/policy.onnx").is_file()
    train([f"--task={TASK}", "--resume", "--max_iterations=1", *small])
    assert max(torch.load(path)["iter"] for path in Path("logs").rglob("model_*.pt")) == 2
    assert "No video" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task=Gym-InvertedPendulm-v5"], "Did you mean 'InvertedPendulum-v5'"),
        (["--task=Gym-CartPole-v1"], "continuous"),
        ([f"--task={TASK}", "env.vectorization=fast"], "vectorization is 'fast'"),
        ([f"--task={TASK}", "env.vectorisation=sync"], "Did you mean 'vectorization'"),
    ],
)
def test_wrong_arguments_leave_nothing_behind(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(arguments)
    assert not Path("logs").exists()
