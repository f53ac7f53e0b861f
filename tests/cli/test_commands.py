# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train, play and export as a user types them."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from rsl_dpcppo import export as exporting
from rsl_dpcppo.cli.export import export
from rsl_dpcppo.cli.main import run
from rsl_dpcppo.cli.play import play
from rsl_dpcppo.cli.run_cfg import load_agent
from rsl_dpcppo.cli.runs import load, new_run
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.errors import CheckpointError, ConfigError, ExportError
from rsl_dpcppo.tasks.registry import find_task

SCRIPTS = Path(__file__).parents[2] / "scripts"
TINY = [
    "--num_envs=16",
    "agent.num_steps_per_env=4",
    "agent.algorithm.flow_num_epochs=2",
    "agent.actor.hidden_dims=[16]",
    "agent.actor.flow_hidden_dims=[16]",
    "agent.actor.flow_steps=4",
    "agent.critic.hidden_dims=[16]",
]
TINY_PPO = [argument for argument in TINY if "flow" not in argument]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def runs(experiment: str = "multi_goal") -> list[Path]:
    folder = Path("logs/rsl_rl") / experiment
    return sorted(folder.iterdir()) if folder.exists() else []


def assert_equal(one: Any, other: Any, path: str = "") -> None:
    """Compare nested checkpoints bit by bit."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_equal(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{path}[{i}]")
    else:
        assert one == other, path


def test_train_play_export(capsys: pytest.CaptureFixture[str]) -> None:
    """One run leaves what Isaac Lab users look for, and play and export find it by themselves."""
    train(["--agent=ppo", "--max_iterations=1", "--seed=1", *TINY_PPO])
    train(["--max_iterations=2", "--run_name=first", "--seed=7", *TINY])
    (run,) = runs()
    assert run.name.endswith("_first")
    agent = yaml.safe_load((run / "params/agent.yaml").read_text())
    assert agent["seed"] == 7
    assert agent["algorithm"]["flow_num_epochs"] == 2
    assert yaml.safe_load((run / "params/env.yaml").read_text())["num_envs"] == 16
    assert {"model_0.pt", "model_1.pt", "multimodality.png"} <= {file.name for file in run.iterdir()}
    assert list(run.glob("events.out.tfevents.*"))
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert list(evaluation) == ["Flow", "Flow+Res", "Flow+Res, zero noise", "Gaussian PPO"]
    assert evaluation["Flow"]["num_trajectories"] == 1024
    printed = capsys.readouterr().out
    assert "Learning iteration 1/2" in printed
    assert f"{evaluation['Flow+Res']['mean_return']:.2f}" in printed
    assert "-0.69" in printed

    play(["--policy=flow", "--noise=3", "--flow_steps=2"])
    played = json.loads((run / "play/evaluation.json").read_text())
    assert list(played) == ["Flow"]
    # One fixed noise makes the policy a function of the state: all trajectories from one start are the same.
    assert max(saddle["standard_error"] for saddle in played["Flow"]["saddles"]) == 0.0
    assert (run / "play/multimodality.png").stat().st_size > 10_000

    for arguments in ([], ["--noise=input", "--policy=flow", "--flow_steps=3"]):
        export(arguments)
        assert (run / "exported/policy.pt").exists()
        assert (run / "exported/policy.onnx").exists()
        output = capsys.readouterr().out
        assert output.count("differs from the live policy by at most") == 2
        assert len(re.findall(r"\d+ flow steps take \d+\.\d{3} ms for one observation on one core", output)) == 2


def test_other_algorithms_play_with_and_without_noise(capsys: pytest.CaptureFixture[str]) -> None:
    train(["--agent=genpo", "--max_iterations=1", *TINY_PPO])
    (run,) = runs("multi_goal_genpo")
    assert list(json.loads((run / "evaluation.json").read_text())) == ["GenPO", "GenPO, zero noise"]
    play(["--agent=genpo", "--noise=3"])
    assert list(json.loads((run / "play/evaluation.json").read_text())) == ["GenPO"]
    capsys.readouterr()
    export(["--agent=genpo", "--noise=input"])
    assert capsys.readouterr().out.count("differs from the live policy by at most") == 2
    with pytest.raises(ConfigError, match="takes the steps that it was trained with: it must be 5"):
        play(["--agent=genpo", "--flow_steps=8"])
    with pytest.raises(ConfigError, match="it must be one of 'flow'"):
        play(["--agent=genpo", "--policy=flow_residual"])


def test_a_stock_ppo_run_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    """Both files act as the trained policy does, its normaliser included."""
    train(["--agent=ppo", "--max_iterations=2", "agent.actor.obs_normalization=True", *TINY_PPO])
    capsys.readouterr()
    export(["--agent=ppo"])
    assert capsys.readouterr().out.count("differs from the live policy by at most") == 2
    (run,) = runs("multi_goal_ppo")
    task = find_task("MultiGoal-v0")
    names = {"agent": "ppo", "experiment_name": None, "load_run": None, "checkpoint": None, "seed": None}
    runner = load(task, argparse.Namespace(**names, device="cpu"), {"agent": [], "env": []}).runner
    observations = runner.env.get_observations()
    expected = runner.get_inference_policy("cpu")(observations).detach()
    for file in ("policy.pt", "policy.onnx"):
        actions = exporting.load_exported(run / "exported" / file)(observations["policy"])
        np.testing.assert_allclose(actions, expected.numpy(), atol=1e-5)
    with pytest.raises(ConfigError, match="Gaussian PPO has no flow: leave it out"):
        export(["--agent=ppo", "--flow_steps=4"])


@pytest.mark.usefixtures("no_pictures")
def test_resume_is_bit_exact() -> None:
    """4 iterations equal 2 + --resume + 2: networks, optimizers, random and environment state."""
    train(["--max_iterations=4", "--run_name=straight", *TINY])
    train(["--max_iterations=2", "--run_name=part", *TINY])
    train(["--max_iterations=2", "--resume", "--load_run=.*part", "--run_name=resumed", "--seed=1", *TINY])
    final = {run.name.rpartition("_")[2]: max(run.glob("model_*.pt")) for run in runs()}
    straight, resumed = (torch.load(final[name], weights_only=True) for name in ("straight", "resumed"))
    assert_equal(straight, resumed)


@pytest.mark.usefixtures("no_pictures")
def test_a_resumed_run_has_the_settings_it_was_begun_with(capsys: pytest.CaptureFixture[str]) -> None:
    own = ["agent.algorithm.score_coef=0.77", "agent.algorithm.gamma=0.5"]
    train(["--max_iterations=1", "--run_name=begun", *TINY, *own])
    capsys.readouterr()
    train(["--max_iterations=1", "--resume", "--run_name=resumed", "agent.algorithm.gamma=0.6"])
    output = capsys.readouterr().out
    assert "Changed on resuming: agent.algorithm.gamma: 0.5 -> 0.6" in output
    assert "score_coef" not in output
    cfg = load_agent(runs()[-1])
    assert cfg is not None
    assert (cfg.algorithm.score_coef, cfg.algorithm.gamma, cfg.num_envs) == (0.77, 0.6, 16)
    with pytest.raises(CheckpointError, match="was trained with DP-CPPO, and the agent named here is GenPO"):
        train(["--agent=genpo", "--resume", "--experiment_name=multi_goal"])


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("agent", ["dpcppo", "dpcppo_fold", "dppo", "ppo"])
def test_step_sizes_are_the_checkpoints_unless_the_command_line_changes_them(agent: str) -> None:
    """PPO's, which is not adaptive here, and the algorithm's own."""
    own = {"dppo": "critic_learning_rate", "ppo": ""}.get(agent, "flow_learning_rate")
    small = TINY_PPO if agent in ("dppo", "ppo") else TINY
    fixed = [f"--agent={agent}", "--experiment_name=rates", "--max_iterations=1", "agent.algorithm.schedule=fixed"]
    changed = ["agent.algorithm.learning_rate=3e-5", *([f"agent.algorithm.{own}=7e-5"] if own else [])]

    def rates() -> set[float]:
        (path,) = max(runs("rates"), key=lambda run: run.stat().st_mtime_ns).glob("model_*.pt")
        state = torch.load(path, weights_only=True)["optimizer_state_dict"]
        flow = state.get("learner", {}).get("flow_optimizer", {"param_groups": []})
        groups = [*state["param_groups"], *flow["param_groups"]]
        return {round(float(group["lr"]), 9) for group in groups}

    train([*fixed, "--run_name=begun", *small])
    begun = rates()
    train([*fixed, "--resume", "--run_name=same"])
    assert rates() == begun
    train([*fixed, "--resume", "--run_name=slower", *changed])
    assert rates() == ({3e-5, 7e-5} if own else {3e-5})
    assert not rates() & begun


@pytest.mark.usefixtures("no_pictures")
def test_killed_run_leaves_whole_checkpoints() -> None:
    """SIGKILL while checkpoints are written every iteration: each file loads, and the run goes on."""
    command = [sys.executable, str(SCRIPTS / "train.py"), "--max_iterations=100000", "agent.save_interval=1", *TINY]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS.parent)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (runs() and len(list(runs()[0].glob("model_*.pt"))) > 20):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    (run,) = runs()
    checkpoints = sorted(run.glob("model_*.pt"))
    assert len(checkpoints) > 20
    for checkpoint in checkpoints:
        torch.load(checkpoint, weights_only=True)
    train(["--resume", "--max_iterations=1", *TINY])


def start(command: str, arguments: list[str], **settings: Any) -> subprocess.Popen[str]:
    """Start a command as a user does, with all that it says in one pipe."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS.parent)}
    return subprocess.Popen(
        [sys.executable, "-m", "rsl_dpcppo.cli", command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        **settings,
    )


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process says until a line has a text."""
    assert process.stdout is not None
    assert any(text in line for line in process.stdout), f"'{text}' never came"


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_the_iteration_and_saves_it(name: str) -> None:
    """The run that goes on from there is the one that was not interrupted, whichever of them it was."""
    number = getattr(signal, name)
    with start("train", ["--seed=1", "--max_iterations=100000", *TINY]) as process:
        wait_for_line(process, "Learning iteration 3/")
        process.send_signal(number)
        output = process.stdout.read() if process.stdout else ""
    assert process.returncode == 128 + number
    assert "Traceback" not in output
    (run,) = runs()
    last = max(run.glob("model_*.pt"), key=lambda path: int(path.stem[6:]))
    assert f"{name}: stopped. Saved: {last}. Continue with --resume." in output
    done = int(last.stem[6:]) + 1
    assert done >= 4
    if name != "SIGTERM":
        return
    train(["--resume", "--max_iterations=1"])
    train(["--seed=1", f"--max_iterations={done + 1}", "--run_name=straight", *TINY])
    resumed, straight = (torch.load(each / f"model_{done}.pt", weights_only=True) for each in runs()[1:])
    assert_equal(resumed, straight)


def test_a_comparison_ends_its_training(tmp_path: Path) -> None:
    arguments = ["--name=stopped", "--agents=dpcppo", "--seeds=1", "--iterations=100000", *TINY]
    with start("compare", arguments) as process:
        wait_for_line(process, "from iteration 0")
        log = tmp_path / "logs/rsl_rl/stopped/MultiGoal-v0/dpcppo/seed1.log"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (log.exists() and "Learning iteration 2/" in log.read_text()):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output = process.stdout.read() if process.stdout else ""
    assert process.returncode == 128 + signal.SIGTERM
    assert "The same command goes on from here" in output
    assert "SIGTERM: stopped. Saved: " in log.read_text()


@pytest.mark.usefixtures("no_pictures")
def test_a_damaged_neighbour_does_not_end_a_finished_run(capsys: pytest.CaptureFixture[str]) -> None:
    train(["--agent=ppo", "--max_iterations=1", *TINY_PPO])
    (rival,) = runs("multi_goal_ppo")
    whole = {path: path.read_bytes() for path in (rival / "model_0.pt", rival / "params/agent.yaml")}
    for path, contents in whole.items():
        path.write_bytes(contents[: len(contents) // 2])
        train(["--max_iterations=1", *TINY])
        path.write_bytes(contents)
        assert "[WARNING] Not compared with ppo" in capsys.readouterr().out
        assert list(json.loads((runs()[-1] / "evaluation.json").read_text())) == [
            "Flow",
            "Flow+Res",
            "Flow+Res, zero noise",
        ]


@pytest.mark.usefixtures("no_pictures")
def test_a_report_tells_a_run_from_another_whose_policies_have_the_same_names() -> None:
    train(["--max_iterations=3", *TINY])
    train(["--agent=dpcppo_modes", "--max_iterations=1", *TINY])
    (other,), (run,) = runs(), runs("multi_goal_held")
    names = ["Flow", "Flow+Res", "Flow+Res, zero noise"]
    figures = json.loads((run / "evaluation.json").read_text())
    assert list(figures) == [*names, *(f"dpcppo: {name}" for name in names)]
    for folder, agent, prefix in ((run, "dpcppo_modes", ""), (other, "dpcppo", "dpcppo: ")):
        play([f"--agent={agent}", "--noise=zero"])
        played = json.loads((folder / "play/evaluation.json").read_text())
        assert figures[f"{prefix}Flow+Res, zero noise"] == played["Flow+Res"]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("named", ["--experiment_name=mine", "agent.experiment_name=mine"])
def test_a_run_in_an_experiment_of_its_own_has_nothing_beside_it(named: str) -> None:
    train(["--max_iterations=1", *TINY])
    train(["--agent=dpcppo_modes", "--max_iterations=1", named, *TINY])
    (run,) = runs("mine")
    assert list(json.loads((run / "evaluation.json").read_text())) == ["Flow", "Flow+Res", "Flow+Res, zero noise"]


@pytest.mark.usefixtures("no_pictures")
def test_an_export_that_is_wrong_leaves_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    train(["--max_iterations=1", *TINY])
    export([])
    (run,) = runs()
    before = {path.name: path.read_bytes() for path in (run / "exported").iterdir()}
    assert before.keys() == {"policy.pt", "policy.onnx"}
    monkeypatch.setattr(exporting, "largest_difference", lambda *_: 1.0)
    with pytest.raises(ExportError, match="differs from the live policy"):
        export(["--flow_steps=2"])
    assert {path.name: path.read_bytes() for path in (run / "exported").iterdir()} == before


def test_logs_that_lead_nowhere_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    (tmp_path / "logs").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(sys, "argv", ["train.py", "--max_iterations=1", *TINY])
    assert run("train") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_runs_started_in_one_second_do_not_share_a_folder() -> None:
    cfg = find_task("MultiGoal-v0").make_agent("dpcppo")
    assert len({new_run(cfg) for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task=MultiGoal"], "Did you mean 'MultiGoal-v0'"),
        (["--agent=dpcpo"], "Did you mean 'dpcppo'"),
        (["--num_env=3"], "Did you mean '--num_envs'"),
        (["agent.algorithm.flow_step=3"], "Did you mean 'flow_steps'"),
        (["agent.foo.bar=3"], "no field 'foo' in agent"),
        (["agent.actor.flow_steps=0"], "flow_steps is 0"),
        (["agent.actor.flow_steps=many"], "could not be converted to Integer"),
        (["agent.algorithm.flow_ema_decay=1.5"], "flow_ema_decay is 1.5"),
        (["agent.actor.flow_activation=elo"], "flow_activation is 'elo'"),
        (["score_coef=1"], "Overrides look like"),
        (["--load_run=x"], "add --resume"),
        (["--experiment_name=../out"], "without '..'"),
        (["--experiment_name=/out"], "experiment_name is '/out'"),
        (["--run_name=a/b"], "run_name is 'a/b'"),
        (["agent.run_name=.."], "run_name is '..'"),
        (["--run_name=" + "x" * 200], "150 bytes at most"),
        (["--seed=-1"], "seed is -1"),
        (["--logger=neptune"], "logger is 'neptune', which is not installed here: pip install -e \".[neptune]\""),
        (["--seed=99999999999999999999"], "seed is 99999999999999999999"),
        (["--num_envs=1000000000000"], "num_envs is 1000000000000; it must be a whole number, 1 or more and at most"),
        (["agent.num_envs=1000000000000"], "num_envs is 1000000000000"),
        (["--max_iterations=1000000000000"], "max_iterations is 1000000000000"),
        (["agent.critic.obs_normalization=3"], "critic.obs_normalization is 3; it must be True or False"),
        (["--num_envs=3", "agent.num_steps_per_env=1"], "num_mini_batches is 4; a rollout has 3 steps"),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], message: str) -> None:
    """Before anything is written, and but for the size of a rollout before anything is built."""
    with pytest.raises(ConfigError) as error:
        train(arguments)
    assert message in str(error.value)
    assert not runs()


def test_a_run_of_another_task_is_not_taken_for_this_ones(capsys: pytest.CaptureFixture[str]) -> None:
    train(["--task=TwoModes-v0", "--experiment_name=mine", "--max_iterations=1", *TINY])
    (run,) = runs("mine")
    other = ["--experiment_name=mine", "--task=MultiGoal-v0"]
    for command, arguments in ((train, ["--resume", "--max_iterations=1"]), (export, [])):
        with pytest.raises(CheckpointError, match="was trained on TwoModes-v0, and --task is 'MultiGoal-v0'"):
            command([*other, *arguments])
    assert runs("mine") == [run]
    assert not (run / "exported").exists()
    env = run / "params/env.yaml"
    env.write_text(env.read_text().replace("TwoModes-v0", "two_modes"))  # as release 0.1.0 wrote it
    export(["--experiment_name=mine", "--task=TwoModes-v0"])
    with pytest.raises(CheckpointError, match="was trained on two_modes"):
        export(other)
    capsys.readouterr()
    play(["--experiment_name=mine", "--task=TwoModes-v0", "--num_envs=4", "--video_length=0"])
    assert "WARNING" not in capsys.readouterr().out


@pytest.mark.usefixtures("no_pictures")
def test_wrong_runs_are_explained() -> None:
    for command in (play, export):
        with pytest.raises(CheckpointError, match="No run in"):
            command([])
    train(["--max_iterations=1", *TINY])
    with pytest.raises(CheckpointError, match=r"num_envs=16.*num_envs=8"):
        train(["--resume", "--max_iterations=1", *TINY, "--num_envs=8"])
    with pytest.raises(CheckpointError, match="other networks"):
        train(["--resume", "--max_iterations=1", *TINY, "agent.actor.flow_hidden_dims=[8]"])
    assert len(runs()) == 1
