# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""scripts/train.py and scripts/play.py through an Isaac Lab 2.3 checkout, and what to say where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from isaaclab_tasks_cfg.launch import find_script, launches
from rsl_dpcppo.errors import LaunchError

sys.path.insert(0, str(Path(__file__).parent))
import checkout
import fakes
import launch

SCRIPTS = Path(__file__).parents[2] / "scripts"
UNAVAILABLE = fakes.unavailable()
needs_isaaclab = pytest.mark.skipif(UNAVAILABLE is not None, reason=UNAVAILABLE or "")
SMALL = [
    "--num_envs=16",
    "--headless",
    "--device=cpu",
    "agent.device=cpu",
    "agent.num_steps_per_env=8",
    "agent.algorithm.flow_num_epochs=2",
]


def script(name: str, folder: Path, *arguments: str, check: bool = True) -> str:
    """Run one of our scripts as isaaclab.sh -p would, and return what it printed."""
    flags = ["--isaaclab-path", str(folder / "IsaacLab"), "--task", "Isaac-Ant-v0", "--agent", "dpcppo"]
    return launch.run(SCRIPTS / name, *flags, *SMALL, *arguments, cwd=folder, check=check).stdout


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a checkout beside it, and one trained run."""
    folder = tmp_path_factory.mktemp("work")
    checkout.make_checkout(folder / "IsaacLab")
    script("train.py", folder, "--max_iterations=3", "--seed=5", "--run_name=first", "agent.algorithm.flow_steps=3")
    return folder


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "logs/rsl_rl/ant_dpcppo").iterdir())


@needs_isaaclab
def test_train(run_folder: Path) -> None:
    """Every flag and override reaches the host, and the run's folder is the host's."""
    run = runs(run_folder)[0]
    assert run.name.endswith("_first")
    agent = yaml.safe_load((run / "params/agent.yaml").read_text())
    assert (agent["seed"], agent["max_iterations"], agent["num_steps_per_env"]) == (5, 3, 8)
    assert (agent["algorithm"]["flow_steps"], agent["algorithm"]["flow_num_epochs"]) == (3, 2)
    assert agent["algorithm"]["score_coef"] == 0.1
    assert (run / "params/env.yaml").exists()
    assert (run / "model_2.pt").exists()


@needs_isaaclab
def test_resume_restores_the_whole_learner(run_folder: Path) -> None:
    script("train.py", run_folder, "--resume", "--load_run=.*first", "--max_iterations=1", "--run_name=resumed")
    resumed = next(run for run in runs(run_folder) if run.name.endswith("_resumed"))
    before, after = (
        torch.load(path, weights_only=True)["optimizer_state_dict"]["learner"]["flow_optimizer"]["state"][0]["step"]
        for path in (runs(run_folder)[0] / "model_2.pt", resumed / "model_2.pt")
    )
    assert after == before + 2 * 4  # one more iteration of two epochs and four mini-batches


@needs_isaaclab
@pytest.mark.parametrize("noise", ["zero", "7"])
def test_play_exports_the_live_policy(run_folder: Path, noise: str) -> None:
    """What the host's play.py writes equals what our own export writes from the same checkpoint, with no simulator."""
    checkpoint = runs(run_folder)[0] / "model_2.pt"
    script("play.py", run_folder, f"--checkpoint={checkpoint}", f"agent.policy.inference_noise='{noise}'")
    obs = torch.randn(1, 12)
    played = actions(checkpoint.parent / "exported", obs)
    command = [sys.executable, str(SCRIPTS / "export.py"), "--task=Isaac-Ant-v0", f"--checkpoint={checkpoint}"]
    exported = launch.execute(*command, f"--noise={noise}", "--flow_steps=16", cwd=run_folder).stdout
    assert exported.count("differs from the live policy by at most") == 2
    for ours, theirs in zip(actions(checkpoint.parent / "exported", obs), played, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def actions(folder: Path, obs: torch.Tensor) -> list[Any]:
    """Return the actions of the exported TorchScript and ONNX policies."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "policy.onnx"), providers=["CPUExecutionProvider"])
    scripted = torch.jit.load(folder / "policy.pt")
    return [scripted(obs).detach().numpy(), session.run(None, {"obs": obs.numpy()})[0]]


@needs_isaaclab
@pytest.mark.parametrize(
    ("task", "agent", "experiment"),
    [
        ("Isaac-Ant-v0", "ppo_paper", "ant_ppo_paper"),
        ("Isaac-Cartpole-v0", "dpcppo_symmetry", "cartpole_dpcppo_symmetry"),
    ],
)
def test_other_agents_train_too(run_folder: Path, task: str, agent: str, experiment: str) -> None:
    arguments = ["--task", task, "--agent", agent, "--isaaclab-path", str(run_folder / "IsaacLab")]
    small = [argument for argument in SMALL if agent != "ppo_paper" or "flow" not in argument]
    launch.run(SCRIPTS / "train.py", *arguments, *small, "--max_iterations=1", cwd=run_folder)
    assert list((run_folder / "logs/rsl_rl" / experiment).glob("*/model_0.pt"))


@needs_isaaclab
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["agent.algorithm.flow_ema_decay=1.0"], "flow_ema_decay is 1.0"),
        (["agent.policy.flow_solver=rk4"], "flow_solver is 'rk4'"),
        (["agent.algorithm.flow_step=3"], "flow_step"),
    ],
)
def test_wrong_overrides_are_explained(run_folder: Path, arguments: list[str], message: str) -> None:
    output = script("train.py", run_folder, "--max_iterations=1", *arguments, check=False)
    assert message in output
    assert "Learning iteration" not in output


@needs_isaaclab
def test_a_projects_task_trains(tmp_path: Path) -> None:
    """Its own train.py, which registers its tasks after Isaac Lab's, with an id that does not begin with Isaac."""
    checkout.make_project(tmp_path / "project")
    arguments = ["--isaaclab-path", str(tmp_path / "project"), "--task", "Template-Reach-v0", "--agent", "dpcppo"]
    launch.run(SCRIPTS / "train.py", *arguments, *SMALL, "--max_iterations=1", cwd=tmp_path)
    assert list((tmp_path / "logs/rsl_rl/ant_dpcppo").glob("*/model_0.pt"))


@needs_isaaclab
def test_an_unknown_task_is_explained(run_folder: Path) -> None:
    output = script("train.py", run_folder, "--task=Isaac-Template-Reach-v0", check=False)
    assert "Error: Environment `Isaac-Template-Reach` doesn't exist" in output
    assert "for a project's, give its folder to --isaaclab-path." in output


def test_isaac_tasks_are_told_from_embedded_ones() -> None:
    assert launches(["train.py", "--task", "Isaac-Ant-v0"])
    assert launches(["train.py", "--headless", "--task=isaaclab_tasks:IsaacContrib-Lift-Cube-Franka"])
    assert launches(["train.py", "--task", "Template-Reach-v0", "--isaaclab-path", "project"])
    assert launches(["train.py", "--isaaclab-path=project", "--task", "Template-Reach-v0"])
    assert not launches(["train.py", "--task", "MultiGoal-v0"])
    assert not launches(["train.py"])


def test_a_missing_checkout_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found, what is supported, how to get it, and what runs without."""
    monkeypatch.delenv("ISAACLAB_PATH", raising=False)
    for path, found in ((None, "No Isaac Lab checkout is known"), (str(tmp_path), f"'{tmp_path}' has no")):
        with pytest.raises(LaunchError) as error:
            find_script(path, "train")
        for part in (found, "Supported: Isaac Lab 2.3", "isaaclab.sh -p", "MultiGoal-v0"):
            assert part in str(error.value)


def test_an_unsupported_checkout_is_explained(tmp_path: Path) -> None:
    checkout.make_checkout(tmp_path)
    (tmp_path / "VERSION").write_text("2.2.0\n")
    with pytest.raises(LaunchError, match=r"version 2\.2\.0"):
        find_script(str(tmp_path), "train")


def test_the_checkout_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag wins over isaaclab.sh's variable."""
    one, other = (checkout.make_checkout(tmp_path / name) for name in ("one", "other"))
    monkeypatch.setenv("ISAACLAB_PATH", str(tmp_path / "one"))
    assert find_script(None, "train") == one / "train.py"
    assert find_script(str(tmp_path / "other"), "play") == other / "play.py"


def test_a_projects_scripts_are_found_whatever_its_version(tmp_path: Path) -> None:
    scripts = checkout.make_project(tmp_path / "template")
    assert find_script(str(tmp_path / "template"), "play") == scripts / "play.py"
    scripts = tmp_path / "robot_lab" / "scripts" / "reinforcement_learning" / "rsl_rl"  # where robot_lab has them
    scripts.mkdir(parents=True)
    (scripts / "train.py").touch()
    (tmp_path / "robot_lab" / "VERSION").write_text("1.0.0\n")
    assert find_script(str(tmp_path / "robot_lab"), "train") == scripts / "train.py"
    with pytest.raises(
        LaunchError, match=r"has no scripts/reinforcement_learning/rsl_rl/play\.py and no scripts/rsl_rl"
    ):
        find_script(str(tmp_path / "robot_lab"), "play")


def test_without_isaac_lab_the_scripts_end_with_one_line(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ISAACLAB_PATH"}
    environment["PYTHONPATH"] = str(SCRIPTS.parent)
    command = [sys.executable, str(SCRIPTS / "train.py"), "--task", "Isaac-Ant-v0", "--agent", "dpcppo"]
    process = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert process.returncode == 1
    assert process.stderr.startswith("Error: No Isaac Lab checkout is known")
    assert len(process.stderr.splitlines()) == 1


@needs_isaaclab
def test_list_tasks(tmp_path: Path) -> None:
    lines = launch.run(SCRIPTS / "list_tasks.py", cwd=tmp_path).stdout.splitlines()
    listed = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert sum(task.startswith("Isaac") for task in listed) > 150
    agents = "dpcppo, ppo_paper, dpcppo_fold, genpo, genpopp, policyflow, fpo, fpopp, dppo"
    assert f"{agents}; paper's Table 6; no sac, dpmd, sdac: SAC learns from a replay buffer" in listed["Isaac-Ant-v0"]
    assert "dpcppo, dpcppo_symmetry, dpcppo_fold" in listed["Isaac-Cartpole-v0"]
    gear = listed["Isaac-Deploy-GearAssembly-UR10e-2F140-v0"]
    assert ", dpcppo, dpcppo_fold; no genpo, genpopp, policyflow, fpo, fpopp, dppo" in gear
    assert ": policy.class_name is 'ActorCriticRecurrent'; genpo knows neither memory, nor images" in gear
    without = listed["Isaac-Lift-Cube-Franka-IK-Abs-v0"]
    assert without.endswith("no agent: it has no rsl_rl_cfg_entry_point that one could be derived from")
    assert not any(task.startswith("Gym-Isaac") for task in listed)
    assert "ppo_paper" not in listed["Isaac-Humanoid-v0"]
    assert "dpcppo" in listed["Isaac-Humanoid-v0"]
    assert "dpcppo, dpcppo_modes, dpcppo_paper, ppo" in listed["MultiGoal-v0"]


@pytest.mark.skipif(UNAVAILABLE is None, reason="isaaclab is installed, but has no simulator to start")
def test_list_tasks_says_why_a_host_is_absent(tmp_path: Path) -> None:
    output = launch.execute(sys.executable, SCRIPTS / "list_tasks.py", cwd=tmp_path).stdout
    assert "MultiGoal-v0" in output
    assert "Isaac Lab: absent. isaaclab is not installed" in output
