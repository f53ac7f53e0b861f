# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The harness itself, with Isaac Lab's stock agents: whole runs of train.py and play.py without a simulator."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml

sys.path.insert(0, str(Path(__file__).parent))
import fakes
from checkout import make_checkout
from launch import execute, run

pytestmark = pytest.mark.skipif(fakes.unavailable() is not None, reason=fakes.unavailable() or "")

NUM_OBS, NUM_ACTIONS = 12, 4
ANT = ("--task", "Isaac-Ant-v0", "--num_envs", "32", "--device", "cpu", "--headless")
# Smaller networks than Ant's, and a normaliser, so that the exports have one to carry.
AGENT = (
    "agent.device=cpu",
    "agent.policy.actor_hidden_dims=[16,16]",
    "agent.policy.critic_hidden_dims=[16,16]",
    "agent.policy.actor_obs_normalization=true",
)

REGISTRY = """
import json
from isaaclab.app import AppLauncher
app = AppLauncher(headless=True).app
import gymnasium
from isaaclab_tasks.utils import load_cfg_from_registry
env, agent = (load_cfg_from_registry("Isaac-Ant-v0", key) for key in ("env_cfg_entry_point", "rsl_rl_cfg_entry_point"))
print("JSON", json.dumps({
    "ids": [id for id in gymnasium.registry if id.startswith("Isaac-")],
    "env": [type(env).__module__, type(env).__name__],
    "agent": [type(agent).__module__, type(agent).__name__],
    "agent file": __import__(type(agent).__module__, fromlist=["x"]).__file__,
    "dict": agent.to_dict(),
    "step_dt": env.sim.dt * env.decimation,
}), flush=True)
app.close()
print("AFTER")
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkout(tmp_path_factory.mktemp("checkout") / "IsaacLab")


@pytest.fixture(scope="module")
def trained(scripts: Path) -> Path:
    """Return the folder of a run of two iterations."""
    flags = ("--max_iterations", "2", "--seed", "3", "--run_name", "first")
    run(scripts / "train.py", *ANT, *flags, *AGENT, cwd=scripts)
    (folder,) = (scripts / "logs" / "rsl_rl" / "ant").glob("*_first")
    return folder


def load(path: Path) -> dict:
    return torch.load(path, weights_only=False)


def test_the_registry_and_the_configs_are_isaac_labs(tmp_path: Path) -> None:
    script = tmp_path / "registry.py"
    script.write_text(REGISTRY)
    output = run(script, cwd=tmp_path).stdout
    found = json.loads(re.search(r"^JSON (.*)$", output, re.MULTILINE)[1])
    assert len(found["ids"]) > 150
    assert found["env"] == ["isaaclab_tasks.manager_based.classic.ant.ant_env_cfg", "AntEnvCfg"]
    assert found["agent"] == ["isaaclab_tasks.manager_based.classic.ant.agents.rsl_rl_ppo_cfg", "AntPPORunnerCfg"]
    assert Path(found["agent file"]).is_relative_to(fakes.find_sources())
    assert found["dict"]["policy"]["actor_hidden_dims"] == [400, 200, 100]
    assert found["dict"]["num_steps_per_env"] == 32
    assert found["step_dt"] == pytest.approx(1 / 60)
    assert "AFTER" not in output, "closing the application ends the process"


def test_tasks_cannot_be_imported_before_the_application_runs(tmp_path: Path) -> None:
    script = tmp_path / "early.py"
    script.write_text("import isaaclab.app\nprint('so far')\nimport isaaclab_tasks\n")
    process = run(script, cwd=tmp_path, check=False)
    assert process.returncode != 0
    assert "so far" in process.stdout
    assert "ModuleNotFoundError: No module named 'pxr'" in process.stdout


def test_train_writes_configs_and_checkpoints(trained: Path) -> None:
    agent = yaml.safe_load((trained / "params" / "agent.yaml").read_text())
    env = yaml.unsafe_load((trained / "params" / "env.yaml").read_text())
    assert agent["policy"]["actor_hidden_dims"] == [16, 16]
    assert (agent["seed"], env["seed"], env["scene"]["num_envs"], env["sim"]["device"]) == (3, 3, 32, "cpu")
    assert load(trained / "model_1.pt")["iter"] == 1
    assert (trained / "model_0.pt").exists()


def test_a_run_resumes_and_is_repeatable(scripts: Path, trained: Path) -> None:
    flags = ("--max_iterations", "2", "--resume", "--load_run", trained.name, "--run_name", "second")
    output = run(scripts / "train.py", *ANT, *flags, *AGENT, cwd=scripts).stdout
    assert f"Loading model checkpoint from: {trained / 'model_1.pt'}" in output
    (folder,) = trained.parent.glob("*_second")
    before, after = load(trained / "model_1.pt"), load(folder / "model_2.pt")
    # Two iterations more: 5 epochs of 4 mini-batches each.
    steps = [model["optimizer_state_dict"]["state"][0]["step"] for model in (before, after)]
    assert (steps, after["iter"]) == ([40, 80], 2)

    flags = ("--max_iterations", "2", "--seed", "3", "--run_name", "third")
    run(scripts / "train.py", *ANT, *flags, *AGENT, cwd=scripts)
    (folder,) = trained.parent.glob("*_third")
    again = load(folder / "model_1.pt")["model_state_dict"]
    for name, tensor in before["model_state_dict"].items():
        torch.testing.assert_close(again[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("by", ["--load_run", "--checkpoint"])
def test_play_exports_the_policy(scripts: Path, trained: Path, by: str) -> None:
    which = trained.name if by == "--load_run" else trained / "model_1.pt"
    for path in (trained / "exported").glob("*"):
        path.unlink()
    assert "Played 20 steps" in run(scripts / "play.py", *ANT, by, which, *AGENT, cwd=scripts).stdout

    # The stock policy, by hand: the normaliser, then the layers.
    state = load(trained / "model_1.pt")["model_state_dict"]
    obs = torch.randn(16, NUM_OBS)
    expected = (obs - state["actor_obs_normalizer._mean"]) / (state["actor_obs_normalizer._std"] + 1e-2)
    assert not torch.allclose(expected, obs, atol=0.1), "the normaliser has seen data"
    layers = sorted({name.rpartition(".")[0] for name in state if name.startswith("actor.")})
    for layer in layers:
        expected = expected @ state[f"{layer}.weight"].T + state[f"{layer}.bias"]
        expected = expected if layer == layers[-1] else torch.nn.functional.elu(expected)
    assert expected.shape == (16, NUM_ACTIONS)

    scripted = torch.jit.load(trained / "exported" / "policy.pt")
    torch.testing.assert_close(scripted(obs), expected, rtol=0, atol=1e-5)
    session = onnxruntime.InferenceSession(trained / "exported" / "policy.onnx", providers=["CPUExecutionProvider"])
    exported = [session.run(["actions"], {"obs": row[None].numpy()})[0][0] for row in obs]
    np.testing.assert_allclose(np.stack(exported), expected.numpy(), atol=1e-5)


def test_direct_tasks_train_through_isaaclab_sh(scripts: Path) -> None:
    """And the small environment can be learned: the best action, without noise, gets 1 in each step."""
    task = ("--task", "Isaac-Quadcopter-Direct-v0", "--num_envs", "64", "--max_iterations", "40")
    flags = ("--device", "cpu", "--headless", "agent.device=cpu", "agent.algorithm.learning_rate=0.002")
    output = execute(scripts.parents[2] / "isaaclab.sh", "-p", scripts / "train.py", *task, *flags, cwd=scripts).stdout
    rewards = [float(value) for value in re.findall(r"Mean reward: +(-?[0-9.]+)", output)]
    lengths = [float(value) for value in re.findall(r"Mean episode length: +([0-9.]+)", output)]
    step_dt = 0.02
    per_step = [reward / length / step_dt for reward, length in zip(rewards, lengths, strict=True)]
    assert len(per_step) == 40
    assert per_step[-1] > per_step[0] + 0.3


def test_an_unknown_agent_is_an_error_of_isaac_lab(scripts: Path) -> None:
    process = run(scripts / "train.py", *ANT, "--agent", "nobody", cwd=scripts, check=False)
    assert process.returncode != 0
    assert "Please check that the gym registry has the entry point: 'nobody'" in process.stdout
