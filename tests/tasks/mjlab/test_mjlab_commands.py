# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""mjlab's own commands on our tasks, with its real simulation on the CPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from agents import Bandit, make_runner

pytest.importorskip("mjlab")

from mjlab.envs import ManagerBasedRlEnv
from mjlab.rl import MjlabOnPolicyRunner, RslRlVecEnvWrapper
from mjlab.scripts import list_envs, play
from mjlab.scripts import train as mjlab_train
from mjlab.tasks.registry import load_env_cfg, load_rl_cfg, load_runner_cls
from mjlab.viewer import ViserPlayViewer

CARTPOLE = "Mjlab-Cartpole-Balance-DPCPPO"
TOLERANCE = 1e-5


def train(*arguments: object, cwd: Path) -> str:
    """Train Cartpole-Balance shortly, in a process that knows our tasks by the entry point alone.

    Returns:
        What mjlab printed.
    """
    short = ("--env.scene.num-envs", 8, "--agent.logger", "tensorboard", "--agent.num-steps-per-env", 8)
    result = subprocess.run(
        [sys.executable, "-m", "mjlab.scripts.train", CARTPOLE, *map(str, (*short, *arguments))],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


OVERRIDES = {
    "agent.algorithm.flow-num-epochs": 5,
    "agent.algorithm.flow-num-mini-batches": 2,
    "agent.algorithm.score-coef": 0.5,
    "agent.actor.flow-steps": 8,
    "agent.actor.flow-hidden-dims": "[32,16]",
    "agent.actor.inference-noise": 7,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two iterations by ``train``, with overrides of our fields."""
    cwd = tmp_path_factory.mktemp("mjlab")
    overrides = [word for name, value in OVERRIDES.items() for word in (f"--{name}", value)]
    output = train("--agent.max-iterations", 2, *overrides, cwd=cwd)
    (run,) = (cwd / "logs" / "rsl_rl" / "cartpole_dpcppo").iterdir()
    return SimpleNamespace(cwd=cwd, run=run, output=output, overrides=overrides)


def flow_steps_taken(checkpoint: Path) -> float:
    """Return how many gradient steps the flow's optimizer has made."""
    state = torch.load(checkpoint, weights_only=True)["optimizer_state_dict"]["learner"]["flow_optimizer"]["state"]
    return float(state[0]["step"])


def test_list_envs_shows_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    list_envs.list_environments(keyword="cartpole")
    assert f" {CARTPOLE} " in capsys.readouterr().out


def test_overrides_reach_the_run(trained: SimpleNamespace) -> None:
    agent = yaml.unsafe_load((trained.run / "params" / "agent.yaml").read_text())
    assert (agent["algorithm"]["score_coef"], agent["algorithm"]["flow_num_epochs"]) == (0.5, 5)
    assert (agent["actor"]["flow_hidden_dims"], agent["actor"]["inference_noise"]) == ([32, 16], "7")
    assert re.search(r"flow_fit_epochs loss: 5\.0", trained.output)
    assert agent["actor"]["flow_steps"] == 8
    weights = torch.load(trained.run / "model_1.pt", weights_only=True)["actor_state_dict"]
    assert weights["velocity.input_layer.weight"].shape[0] == 32
    assert flow_steps_taken(trained.run / "model_1.pt") == 2 * 5 * 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (("--agent.actor.flow-steps", 0), "flow_steps is 0; it must be a whole number, 1 or more"),
        (("--agent.algorithm.flow-target", "old"), "flow_target is 'old'; it must be one of 'fresh', 'stored'"),
        (("--agent.algorithm.flow-step", 3), "--agent.algorithm.flow-steps"),
    ],
)
def test_wrong_overrides_stop_before_the_simulation(
    override: tuple[str, object], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", CARTPOLE, *map(str, override)])
    with pytest.raises(SystemExit) as stop:
        mjlab_train.main()
    assert stop.value.code == 2
    printed = " ".join(re.sub(r"[│╭╰─╮╯]", "", "".join(capsys.readouterr())).split())
    assert message in printed


def test_a_resumed_run_goes_on_with_the_flow_too(trained: SimpleNamespace) -> None:
    output = train("--agent.max-iterations", 2, "--agent.resume", True, *trained.overrides, cwd=trained.cwd)
    assert f"Loading model checkpoint from: {trained.run / 'model_1.pt'}" in output
    resumed = max(path for path in trained.run.parent.iterdir() if path != trained.run)
    assert flow_steps_taken(resumed / "model_2.pt") == (2 + 2) * 5 * 2


class ShortViewer(ViserPlayViewer):
    """mjlab's viewer, closed after some steps."""

    def run(self, *args: Any, **kwargs: Any) -> None:
        ShortViewer.last = self
        super().run(num_steps=20)


def test_play_acts_by_the_checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two checkpoints, of which the viewer changes from one to the other."""
    train("--agent.max-iterations", 2, "--agent.save-interval", 1, cwd=tmp_path)
    first, last = sorted(tmp_path.glob("logs/rsl_rl/cartpole_dpcppo/*/model_*.pt"))
    monkeypatch.setattr(play, "ViserPlayViewer", ShortViewer)
    play.run_play(CARTPOLE, play.PlayConfig(checkpoint_file=str(last), num_envs=2, device="cpu", viewer="viser"))
    viewer = ShortViewer.last
    assert viewer._step_count == 20
    assert_has_weights(viewer.policy, last)
    assert_has_weights(viewer._ckpt_mgr.load_checkpoint(first.name), first)


def assert_has_weights(policy: torch.nn.Module, checkpoint: Path) -> None:
    expected = torch.load(checkpoint, weights_only=True)["actor_state_dict"]
    assert policy.state_dict().keys() == expected.keys()
    for name, value in policy.state_dict().items():
        assert torch.equal(value, expected[name]), name


def load_onnx(path: Path) -> Callable[..., np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda **inputs: session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]


def test_velocity_runner_exports_the_live_policy(tmp_path: Path) -> None:
    """The real Unitree Go1: its runner writes an ONNX file with mjlab's metadata at each save."""
    task = "Mjlab-Velocity-Flat-Unitree-Go1-DPCPPO"
    env_cfg, rl_cfg = load_env_cfg(task), load_rl_cfg(task)
    env_cfg.scene.num_envs, env_cfg.seed = 4, 1
    rl_cfg.logger, rl_cfg.actor.inference_noise = "tensorboard", "zero"
    env = RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg=env_cfg, device="cpu"))
    runner = load_runner_cls(task)(env, asdict(rl_cfg), log_dir=str(tmp_path), device="cpu")
    runner.learn(1)
    file = tmp_path / f"{tmp_path.name}.onnx"
    metadata = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert len(metadata["joint_names"].split(",")) == env.num_actions == 12
    policy = runner.get_inference_policy()
    observations = env.get_observations()
    with torch.inference_mode():
        expected = policy(observations).numpy()
    assert np.abs(expected).max() > 0.01
    exported = load_onnx(file)
    for row in range(env.num_envs):
        actions = exported(obs=observations["actor"][row : row + 1])
        np.testing.assert_allclose(actions, expected[row : row + 1], atol=TOLERANCE)

    policy.head.set_inference("flow_residual", "random")
    runner.export_policy_to_onnx(str(tmp_path), "random.onnx")
    exported = load_onnx(tmp_path / "random.onnx")
    draws = [exported(obs=observations["actor"][:1]) for _ in range(2)]
    assert np.abs(draws[0] - draws[1]).max() > 0.01
    env.close()


@pytest.fixture(scope="module")
def cartpole() -> Iterator[RslRlVecEnvWrapper]:
    env_cfg = load_env_cfg("Mjlab-Cartpole-Balance")
    env_cfg.scene.num_envs, env_cfg.seed = 8, 1
    env = RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg=env_cfg, device="cpu"))
    yield env
    env.close()


@pytest.mark.parametrize("suffix", ["GENPO", "FPO", "FPOPP", "DPPO"])
def test_peers_train_and_export(suffix: str, cartpole: RslRlVecEnvWrapper, tmp_path: Path) -> None:
    rl_cfg = load_rl_cfg(f"Mjlab-Cartpole-Balance-{suffix}")
    rl_cfg.logger, rl_cfg.num_steps_per_env, rl_cfg.actor.inference_noise = "tensorboard", 8, "zero"
    runner = make_runner(cartpole, asdict(rl_cfg), MjlabOnPolicyRunner)
    runner.learn(1)
    runner.export_policy_to_onnx(str(tmp_path))
    observations = cartpole.get_observations()[:1]
    with torch.inference_mode():
        expected = runner.get_inference_policy()(observations).numpy()
    np.testing.assert_allclose(load_onnx(tmp_path / "policy.onnx")(obs=observations["actor"]), expected, atol=TOLERANCE)


class CameraBandit(Bandit):
    """A camera that mjlab's encoders take, and what its runner asks of an environment when it saves."""

    unwrapped = SimpleNamespace(common_step_counter=0)

    def get_observations(self) -> Any:
        observations = super().get_observations()
        observations["camera"] = torch.rand(self.num_envs, 3, 32, 32)
        return observations


def test_camera_tasks_train_and_export(tmp_path: Path) -> None:
    """The agent of Lift-Cube-Yam-Rgb, with mjlab's runner and encoder, on a stand-in for the rendered scene."""
    rl_cfg = load_rl_cfg("Mjlab-Lift-Cube-Yam-Rgb-DPCPPO")
    rl_cfg.logger, rl_cfg.actor.inference_noise = "tensorboard", "zero"
    rl_cfg.obs_groups = {"actor": ("policy", "camera"), "critic": ("policy", "camera")}
    env = CameraBandit(num_envs=4, groups=("policy",))
    runner = make_runner(env, asdict(rl_cfg), MjlabOnPolicyRunner)
    before = [parameter.clone() for parameter in runner.alg.get_policy().cnns.parameters()]
    runner.learn(1)
    after = runner.alg.get_policy().cnns.parameters()
    assert all((old != new).any() for old, new in zip(before, after, strict=True))
    runner.export_policy_to_onnx(str(tmp_path))
    observations = env.get_observations()[:1]
    with torch.inference_mode():
        expected = runner.get_inference_policy()(observations).numpy()
    actions = load_onnx(tmp_path / "policy.onnx")(obs=observations["policy"], camera=observations["camera"])
    np.testing.assert_allclose(actions, expected, atol=TOLERANCE)
