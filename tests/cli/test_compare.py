# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Comparisons: what is missing is run, what was cut off is continued, and curves are those of the logs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from rsl_dpcppo.cli.compare import compare
from rsl_dpcppo.cli.curves import Curve, Result, draw, format_table, read_result, write_csv
from rsl_dpcppo.errors import ConfigError

TRAIN = Path(__file__).parents[2] / "scripts" / "train.py"
SMALL = ["--num_envs=16", "--seeds=1", "agent.num_steps_per_env=8", "agent.save_interval=1"]


def write_log(folder: Path, iterations: range, reward: float, rate: float) -> None:
    with SummaryWriter(str(folder)) as writer:
        for iteration in iterations:
            writer.add_scalar("Perf/total_fps", rate, iteration)
            if iteration:  # no episode ends in the first iteration
                writer.add_scalar("Train/mean_reward", reward + iteration, iteration)


def test_curve_of_a_continued_run_is_that_of_one_run(tmp_path: Path) -> None:
    write_log(tmp_path / "a", range(4), reward=10.0, rate=100.0)
    write_log(tmp_path / "b", range(3, 6), reward=20.0, rate=50.0)
    (tmp_path / "b" / "evaluation.json").write_text(json.dumps({"Flow": {"mean_return": 7.0}}))
    result = read_result("T", "dpcppo", 1, [tmp_path / "a", tmp_path / "b"], batch=200)
    np.testing.assert_array_equal(result.curve.steps, 200.0 * np.arange(1, 7))
    np.testing.assert_allclose(result.curve.seconds, np.cumsum([2, 2, 2, 4, 4, 4]))
    np.testing.assert_array_equal(result.curve.returns, [np.nan, 11, 12, 23, 24, 25])
    assert result.evaluation == {"Flow": 7.0}


def result(agent: str, seed: int, value: float, seconds: float) -> Result:
    steps = np.arange(1, 11, dtype=float)
    return Result("T", agent, seed, Curve(steps, seconds * steps, np.full(10, value)), {"Policy": value})


def test_table_has_mean_spread_and_time(tmp_path: Path) -> None:
    results = [result("ppo", 1, 1.0, 2.0), result("ppo", 2, 3.0, 2.0), result("dpcppo", 1, 5.0, 3.0)]
    table = format_table(results, reference="ppo")
    assert "| T | ppo | Policy | 2.0 ± 1.4 | 1 3 | 1.00 |" in table
    assert "| T | dpcppo | Policy | 5.0 | 5 | 1.50 |" in table
    write_csv(results, tmp_path / "curves.csv")
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    assert len(rows) == 30
    assert rows[10] == {
        "task": "T",
        "agent": "ppo",
        "seed": "2",
        "environment_steps": "1",
        "seconds": "2.000",
        "mean_return": "3.0000",
    }
    draw(results, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5_000


def test_only_what_is_missing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    own = "dpcppo.algorithm.flow_num_epochs=2"  # which stock PPO does not have
    compare(["--iterations=2", *SMALL, own], TRAIN)
    assert capsys.readouterr().out.count("from iteration 0 to 2") == 2
    folder = tmp_path / "logs/rsl_rl/compare"
    table = (folder / "table.md").read_text()
    assert {line.split(" | ")[2] for line in table.splitlines()[2:]} == {"Gaussian PPO", "Flow", "Flow+Res"}
    assert (folder / "curves.png").is_file()

    compare(["--iterations=2", *SMALL, own], TRAIN)
    assert "from iteration" not in capsys.readouterr().out
    compare(["--iterations=4", "--agents=dpcppo", *SMALL, own], TRAIN)
    assert "MultiGoal-v0, dpcppo, seed 1: from iteration 2 to 4" in capsys.readouterr().out
    rows = list(csv.DictReader((folder / "curves.csv").open()))
    assert [int(row["environment_steps"]) for row in rows] == [128, 256, 384, 512]
    with pytest.raises(ConfigError, match="has 4 iterations already"):
        compare(["--iterations=2", "--agents=dpcppo", *SMALL, own], TRAIN)
    with pytest.raises(ConfigError, match="made with other settings"):
        compare(["--iterations=4", "--agents=dpcppo", *SMALL, own, "agent.algorithm.gamma=0.5"], TRAIN)


def test_wrong_names_stop_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = ("--agents=ppo,dpcpo", "--task=MultiGoal-v0,MultiGol-v0", "agent.sed=1", "--agent=ppo", "genpo.seed=1")
    for argument in wrong:
        with pytest.raises(ConfigError):
            compare([argument], TRAIN)
    assert not (tmp_path / "logs").exists()


def test_failed_run_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "train.py"
    script.write_text("raise SystemExit('no room left')")
    with pytest.raises(ConfigError, match=r"seed1\.log"):
        compare(["--iterations=1", *SMALL], script)
    assert "no room left" in next((tmp_path / "logs").rglob("seed1.log")).read_text()
