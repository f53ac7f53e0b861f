# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""examples/deployment: a policy trained on EnvPool's half cheetah runs in plain MuJoCo."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco")
gymnasium = pytest.importorskip("gymnasium", minversion="1.1")

FOLDER = Path(__file__).parents[3] / "examples" / "deployment"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("deployment_example", FOLDER / "play.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(example: Any) -> Any:
    return example.mujoco.MjModel.from_xml_path(str(example.find_model()))


@pytest.mark.parametrize("noise", ["random", "zero"])
def test_the_policy_runs_where_random_actions_do_not(example: Any, model: Any, noise: str) -> None:
    policy, rng = example.Policy(FOLDER / "half_cheetah.onnx", noise), np.random.default_rng(0)
    played = [example.run_episode(policy, model, seed)[0] for seed in range(4)]
    at_random = [example.run_episode(lambda _: rng.uniform(-1.0, 1.0, 6), model, seed)[0] for seed in range(4)]
    assert np.mean(played) > 1000.0
    assert np.max(at_random) < 0.0


def test_it_is_gymnasiums_task(example: Any, model: Any) -> None:
    """One action has the same consequence in both: observation, scale of the action, reward."""
    env = gymnasium.make("HalfCheetah-v5").unwrapped
    env.reset(seed=3)
    data = example.mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = env.data.qpos, env.data.qvel
    action = np.linspace(-1.5, 1.5, 6)
    data.ctrl[:] = example.to_control(action, model)
    example.mujoco.mj_step(model, data, example.NUM_SUBSTEPS)
    expected = env.step(np.clip(action, -1.0, 1.0))[0]
    np.testing.assert_allclose(example.observe(data), expected, rtol=1e-9, atol=1e-9)
    assert env.dt == example.NUM_SUBSTEPS * model.opt.timestep


def test_two_calls_agree_only_without_noise(example: Any) -> None:
    observation = np.full(17, 0.1)
    fixed, drawn = (example.Policy(FOLDER / "half_cheetah.onnx", noise) for noise in ("zero", "random"))
    assert np.array_equal(fixed(observation), fixed(observation))
    assert not np.array_equal(drawn(observation), drawn(observation))


def test_it_takes_neither_torch_nor_rsl_rl() -> None:
    run = f"""
import sys, runpy
sys.modules.update(dict.fromkeys(["torch", "rsl_rl", "rsl_dpcppo", "gymnasium.envs"]))  # not to be imported
sys.argv = ["play.py", "--episodes=1"]
runpy.run_path({str(FOLDER / "play.py")!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-I", "-c", run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mean return" in done.stdout
