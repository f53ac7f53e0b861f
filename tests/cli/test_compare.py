# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Comparisons: what is missing is run, what was cut off is continued, and curves are those of the logs."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from rsl_dpcppo.cli.compare import command, compare, progress
from rsl_dpcppo.cli.compare.command import read
from rsl_dpcppo.cli.compare.curves import draw, write_csv
from rsl_dpcppo.cli.compare.jobs import Job
from rsl_dpcppo.cli.compare.plan import make_runs
from rsl_dpcppo.cli.compare.results import (
    Curve,
    Evaluation,
    Result,
    confidence_interval,
    interquartile_mean,
    read_result,
)
from rsl_dpcppo.cli.compare.table import format_table
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.errors import ConfigError, StoppedError

SMALL = ["--num_envs=16", "--seeds=1", "agent.num_steps_per_env=8", "agent.save_interval=1"]


def write_log(folder: Path, iterations: range, reward: float, rate: float) -> None:
    with SummaryWriter(str(folder)) as writer:
        for iteration in iterations:
            writer.add_scalar("Perf/total_fps", rate, iteration)
            if iteration:  # no episode ends in the first iteration
                writer.add_scalar("Train/mean_reward", reward + iteration, iteration)


def test_curve_of_a_continued_run_is_that_of_one_run(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    write_log(first, range(4), reward=10.0, rate=100.0)
    write_log(second, range(3, 6), reward=20.0, rate=50.0)
    (second / "evaluation.json").write_text(json.dumps({"Flow": {"mean_return": 7.0, "modes": {"E": 0.25}}}))
    (first / "resources.json").write_text(json.dumps({"peak_memory_mib": 500.0}))
    (second / "resources.json").write_text(json.dumps({"peak_memory_mib": 400.0}))
    result = read_result("T", "dpcppo", 1, [first, second], batch=200)
    np.testing.assert_array_equal(result.curve.iterations, np.arange(1, 7))
    np.testing.assert_array_equal(result.curve.steps, 200 * np.arange(1, 7))
    np.testing.assert_allclose(result.curve.seconds, np.cumsum([2, 2, 2, 4, 4, 4]))
    np.testing.assert_array_equal(result.curve.returns, [np.nan, 11, 12, 23, 24, 25])
    assert result.evaluation == {"Flow": Evaluation(7.0, {"E": 0.25})}
    assert result.peak_memory == 500.0


def test_memory_that_was_not_recorded_is_unknown(tmp_path: Path) -> None:
    write_log(tmp_path, range(2), reward=10.0, rate=100.0)
    assert read_result("T", "ppo", 1, [tmp_path], batch=200).peak_memory is None
    (tmp_path / "resources.json").write_text(json.dumps({"peak_memory_mib": None}))
    assert read_result("T", "ppo", 1, [tmp_path], batch=200).peak_memory is None


def result(
    agent: str,
    seed: int,
    value: float,
    seconds: float = 1.0,
    modes: dict[str, float] | None = None,
    memory: float | None = None,
    batch: int = 8,
) -> Result:
    iterations = np.arange(1, 11)
    curve = Curve(iterations, batch, seconds * iterations, np.full(10, value))
    return Result("T", agent, seed, curve, {"Policy": Evaluation(value, modes or {})}, memory)


def cells(table: str) -> list[dict[str, str]]:
    """Return the rows of a Markdown table by the titles of their columns."""
    titles, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
    return [dict(zip(titles, row, strict=True)) for row in rows]


def test_interquartile_mean_and_its_interval_are_those_of_all_resamples() -> None:
    """Five seeds have so few resamples that the interval can be had without chance."""
    returns = np.array([1.0, 50.0, 4.0, 2.0, 9.0])
    assert interquartile_mean(returns) == pytest.approx((2.0 + 4.0 + 9.0) / 3.0)
    resamples = np.sort(list(itertools.product(returns, repeat=5)), axis=1)
    expected = np.quantile(resamples[:, 1:4].mean(axis=1), [0.025, 0.975])
    assert confidence_interval(returns, interquartile_mean) == pytest.approx(expected, rel=0.03)
    assert confidence_interval(returns, interquartile_mean) == confidence_interval(returns, interquartile_mean)


def test_interval_of_a_curve_is_that_of_each_point() -> None:
    curves = np.array([[1.0, 2.0, 6.0], [30.0, 10.0, 50.0], [5.0, 5.0, 5.0]])
    low, high = confidence_interval(curves, np.mean, num_resamples=1000)
    for i in range(len(curves)):
        assert (low[i], high[i]) == pytest.approx(confidence_interval(curves[i], np.mean, num_resamples=1000))
    assert low[2] == high[2] == 5.0


def test_table_has_returns_time_memory_and_modes() -> None:
    results = [
        *(result("ppo", i + 1, [1.0, 3.0, 2.0, 4.0, 40.0][i], 2.0, memory=100.0 * i) for i in range(5)),
        result("dpcppo", 1, 5.0, 3.0, modes={"E": 0.9, "W": 0.034}, memory=300.0),
        result("dpcppo", 2, 7.0, 3.0, modes={"E": 0.5, "W": 0.5}, memory=302.0),
    ]
    ppo, dpcppo = cells(format_table(results, reference="ppo"))
    assert (ppo["task"], ppo["agent"], ppo["policy"]) == ("T", "ppo", "Policy")
    assert ppo["return of whole episodes, mean ± std over seeds"] == "10.00 ± 16.81"
    low, high = confidence_interval(np.array([1.0, 3.0, 2.0, 4.0, 40.0]), interquartile_mean)
    assert ppo["interquartile mean [95 % interval]"] == f"3.00 [{low:.2f}, {high:.2f}]"
    assert ppo["each seed"] == "1.00 3.00 2.00 4.00 40.00"
    assert [row["as trained, last 100 episodes"] for row in (ppo, dpcppo)] == ["10.00 ± 16.81", "6.00 ± 1.41"]
    assert [row["time of an iteration / ppo"] for row in (ppo, dpcppo)] == ["1.00", "1.50"]
    assert [row["peak memory [MiB]"] for row in (ppo, dpcppo)] == ["200", "301"]
    assert [row["least visited mode of each seed [%]"] for row in (ppo, dpcppo)] == ["", "3 50"]


def test_table_leaves_out_what_is_not_known() -> None:
    (row,) = cells(format_table([result("ppo", 1, 0.25)], reference="ppo"))
    assert row["return of whole episodes, mean ± std over seeds"] == "0.250"
    assert row["interquartile mean [95 % interval]"] == "0.250"
    assert not {"peak memory [MiB]", "least visited mode of each seed [%]"} & row.keys()
    known = [result("ppo", 1, -1234.5), result("ppo", 2, 0.0, modes={"E": 0.5, "W": 0.25}, memory=64.0)]
    (row,) = cells(format_table(known, reference="ppo"))
    assert row["each seed"] == "-1234 0"
    assert row["peak memory [MiB]"] == "64"
    assert row["least visited mode of each seed [%]"] == "– 25"


@pytest.mark.parametrize("num_tasks", [1, 3])
def test_the_names_of_all_curves_are_inside_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_tasks: int
) -> None:
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: (figures.append(figure), save(figure, path)))
    names = [f"dpcppo entropy_coef=0.00{i} score_coef=preset" for i in range(4)]
    runs = [result(name, 1, 1.0) for name in names]
    tasks = [f"T{i}" for i in range(num_tasks)]
    draw([dataclasses.replace(run, task=task) for task in tasks for run in runs], tmp_path / "curves.png")
    (figure,) = figures
    (legend,) = figure.legends
    left, right = legend.get_window_extent().intervalx
    assert 0 <= left < right <= figure.bbox.width


def test_curves_are_written_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [result("ppo", 1, 1.0, 2.0), result("ppo", 2, 3.0, 2.0), result("dpcppo", 1, 5.0, 3.0)]
    write_csv(results, tmp_path / "curves.csv")
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    assert len(rows) == 30
    assert rows[11] == {
        "task": "T",
        "agent": "ppo",
        "seed": "2",
        "iteration": "2",
        "environment_steps": "16",
        "seconds": "4.000",
        "mean_return": "3.0000",
    }

    results[0].curve.returns[:5] = np.nan  # no episode has ended
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: (figures.append(figure), save(figure, path)))
    draw(results, tmp_path / "curves.png")
    draw([*results, result("large", 1, 2.0, batch=16)], tmp_path / "batches.png")
    draw([result(f"agent{i}", 1, float(i)) for i in range(10)], tmp_path / "many.png")
    assert (tmp_path / "curves.png").stat().st_size > 5_000
    labels = [[axes.get_xlabel() for axes in figure.axes] for figure in figures]
    assert labels[:2] == [["iterations", "seconds"], ["million environment steps", "seconds"]]
    lines = {line.get_label(): line for line in figures[0].axes[0].lines}
    np.testing.assert_array_equal(lines["ppo"].get_xdata(), np.arange(5, 11))
    (band,) = figures[0].axes[0].collections
    vertices = band.get_paths()[0].vertices
    assert (vertices[:, 1].min(), vertices[:, 1].max()) == (1.0, 3.0)
    looks = {(line.get_color(), line.get_linestyle()) for line in figures[2].axes[0].lines}
    assert len(looks) == 10, "two agents look the same"


def test_only_what_is_missing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    own = "dpcppo.algorithm.flow_num_epochs=2"  # which stock PPO does not have
    compare(["--iterations=2", *SMALL, own])
    assert capsys.readouterr().out.count("from iteration 0 to 2") == 2
    folder = tmp_path / "logs/rsl_rl/compare"
    rows = cells((folder / "table.md").read_text())
    assert [row["policy"] for row in rows] == ["Gaussian PPO", "Flow", "Flow+Res", "Flow+Res, zero noise"]
    assert all(float(row["peak memory [MiB]"]) > 50.0 for row in rows)
    assert all(0.0 <= float(row["least visited mode of each seed [%]"]) <= 25.0 for row in rows)
    assert (folder / "curves.png").is_file()

    compare(["--iterations=2", *SMALL, own])
    assert "from iteration" not in capsys.readouterr().out
    compare(["--iterations=4", "--agents=dpcppo", *SMALL, own])
    assert "MultiGoal-v0, dpcppo, seed 1: from iteration 2 to 4" in capsys.readouterr().out
    rows = list(csv.DictReader((folder / "curves.csv").open()))
    assert [int(row["environment_steps"]) for row in rows] == [128, 256, 384, 512]
    with pytest.raises(ConfigError, match="has 4 iterations already"):
        compare(["--iterations=2", "--agents=dpcppo", *SMALL, own])
    with pytest.raises(ConfigError, match="made with other settings"):
        compare(["--iterations=4", "--agents=dpcppo", *SMALL, own, "agent.algorithm.gamma=0.5"])


def test_wrong_names_stop_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = (
        "--agents=ppo,dpcpo",
        "--task=MultiGoal-v0,MultiGol-v0",
        "agent.sed=1",
        "--agent=ppo",
        "genpo.seed=1",
        "--name=/out",
        "--name=..",
        "--name=a/b",
        "--vary=agent.algorithm.score_coef",
        "--vary=agent.algorithm.score_coef=0,,1",
        "--vary=score_coef=0,1",
        "--vary=dpcpo.algorithm.score_coef=0,1",
        "--vary=agent.algorithm.scor_coef=0,1",
        "--vary=agent.algorithm.score_coef=0,-1",
        "--vary=agent.algorithm.score_coef=0,high",
        "--vary=agent.algorithm.score_coef=0.1,0.10",
        "--vary=agent.seed=1,2",
        "--vary=env.start=1,2",
        "--study=entropi",
    )
    for argument in wrong:
        with pytest.raises(ConfigError):
            compare([argument])
    assert not (tmp_path / "logs").exists()


def test_fields_are_varied_in_every_combination_or_in_pairs() -> None:
    varied = ["--vary=dpcppo.algorithm.score_coef=0,preset", "--vary=agent.actor.hidden_dims=[8,8],[16]"]
    _, variants = read(["--agents=ppo,dpcppo", *varied, "agent.num_steps_per_env=8"])
    assert [variant.label for variant in variants] == [
        "ppo hidden_dims=[8,8]",
        "ppo hidden_dims=[16]",
        "dpcppo score_coef=0 hidden_dims=[8,8]",
        "dpcppo score_coef=0 hidden_dims=[16]",
        "dpcppo score_coef=preset hidden_dims=[8,8]",
        "dpcppo score_coef=preset hidden_dims=[16]",
    ]
    runs = make_runs(["MultiGoal-v0"], variants, "x", num_seeds=2, num_envs=4, iterations=3)
    assert len({run.title for run in runs}) == len({(run.cfg.experiment_name, run.cfg.seed) for run in runs}) == 12
    cfg: Any = runs[4].cfg
    assert (cfg.algorithm.score_coef, cfg.actor.hidden_dims, cfg.num_steps_per_env) == (0.1, [8, 8], 8)
    assert cfg.experiment_name == "x/MultiGoal-v0/dpcppo/score_coef=preset hidden_dims=[8,8]"

    _, pairs = read(["--agents=dpcppo", "--paired", *varied])
    assert [variant.choice for variant in pairs] == [
        "score_coef=0 hidden_dims=[8,8]",
        "score_coef=preset hidden_dims=[16]",
    ]
    with pytest.raises(ConfigError, match=r"algorithm\.score_coef has 2, agent\.algorithm\.gamma has 1"):
        read(["--paired", varied[0].replace("dpcppo", "agent"), "--vary=agent.algorithm.gamma=0.9"])
    both = ["--vary=agent.actor.hidden_dims=[8]", "--vary=agent.critic.hidden_dims=[9]"]
    assert read(both)[1][0].label == "dpcppo actor.hidden_dims=[8] critic.hidden_dims=[9]"


def train_in_process(jobs: Sequence[Job], *_: Any) -> None:
    """Do what ``run_all`` does, in a second instead of ten."""
    for job in jobs:
        train(job.command()[len(progress.TRAIN) :])
        job.status, job.state = 0, "finished"


def test_values_have_rows_and_curves_and_what_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--task=TwoModes-v0", "--num_envs=16", "--seeds=1", "--iterations=1", "--metrics=flow_gap"]
    arguments = [*small, "--vary=agent.algorithm.flow_steps=1,2", "--vary=env.width=0.25"]

    def stopped(jobs: Sequence[Job], *_: Any) -> None:
        train_in_process(jobs[:1])
        raise StoppedError(15, "stopped")

    monkeypatch.setattr(command, "run_all", stopped)
    with pytest.raises(StoppedError):
        compare(arguments)
    monkeypatch.setattr(command, "run_all", train_in_process)
    capsys.readouterr()
    compare(arguments)
    begun = [line for line in capsys.readouterr().out.splitlines() if "from iteration" in line]
    assert begun == ["[INFO] TwoModes-v0, dpcppo flow_steps=2 width=0.25, seed 1: from iteration 0 to 1"]
    folder = tmp_path / "logs/rsl_rl/compare"
    labels = ["dpcppo flow_steps=1 width=0.25", "dpcppo flow_steps=2 width=0.25"]
    assert list(dict.fromkeys(row["agent"] for row in cells((folder / "table.md").read_text()))) == labels
    rows = list(csv.DictReader((folder / "curves.csv").open()))
    assert [row["agent"] for row in rows] == labels
    assert all(np.isfinite(float(row["flow_gap"])) for row in rows)
    assert (folder / "curves_flow_gap.png").is_file()


def test_failed_run_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "train.py"
    script.write_text("raise SystemExit('no room left')")
    monkeypatch.setattr(progress, "TRAIN", (sys.executable, str(script)))
    with pytest.raises(ConfigError, match=r"seed1\.log"):
        compare(["--iterations=1", *SMALL])
    assert "no room left" in next((tmp_path / "logs").rglob("seed1.log")).read_text()


@pytest.mark.slow
def test_run_that_diverges_is_named_and_the_others_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compare(["--agents=ppo,dpcppo", "--iterations=2", *SMALL, "dpcppo.algorithm.flow_learning_rate=1e38"])
    table = (tmp_path / "logs/rsl_rl/compare/table.md").read_text()
    assert "| MultiGoal-v0 | ppo |" in table
    assert "| dpcppo |" not in table
    assert "because a loss became infinite: MultiGoal-v0, dpcppo, seed 1." in table
