# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks of the installed MuJoCo Playground as environments of RSL-RL."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("mujoco_playground")

import jax
import numpy as np
import playground_stub as stub
from agents import agent_dict, make_runner, small_agent
from torch import Tensor

from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.config.ppo import GaussianActorCfg, NetworkCfg, PPORunnerCfg
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.playground import env as bridge
from rsl_dpcppo.tasks.playground import install
from rsl_dpcppo.tasks.playground.env import PlaygroundEnv, PlaygroundEnvCfg, check_installed, film, task_names

JAX = PlaygroundEnvCfg(impl="jax")

if jax.config.jax_compilation_cache_dir is None:  # the user's folder is not for tests
    COMPILED = tempfile.TemporaryDirectory(prefix="rsl_dpcppo_test_")
    jax.config.update("jax_compilation_cache_dir", COMPILED.name)


@pytest.fixture(scope="module")
def point_mass() -> PlaygroundEnv:
    return PlaygroundEnv("PointMass", num_envs=8, seed=3, cfg=JAX)


@pytest.fixture(scope="module")
def reacher() -> PlaygroundEnv:
    return PlaygroundEnv("ReacherEasy", num_envs=16, cfg=JAX)


@pytest.fixture(scope="module")
def compiled_stub() -> PlaygroundEnv:
    return make_stub()


@pytest.fixture
def stub_env(compiled_stub: PlaygroundEnv) -> PlaygroundEnv:
    """Return the stub with 4 environments and episodes of 5 steps, at the start of new episodes."""
    compiled_stub.reset()
    return compiled_stub


def make_stub(num_envs: int = 4, seed: int = 0, cfg: PlaygroundEnvCfg = JAX, **task: Any) -> PlaygroundEnv:
    stub.register(**task)
    return PlaygroundEnv(stub.NAME, num_envs=num_envs, seed=seed, cfg=cfg)


def first_actions(*values: float) -> Tensor:
    return torch.tensor([[value, 0.0] for value in values])


def play(env: PlaygroundEnv, num_steps: int, seed: int = 0) -> Tensor:
    """Return observations and rewards under random actions that exceed the bounds, [num_steps, num_envs, size + 1]."""
    generator, transitions = torch.Generator().manual_seed(seed), []
    for _ in range(num_steps):
        actions = 1.5 * torch.randn(env.num_envs, env.num_actions, generator=generator)
        obs, rewards, *_ = env.step(actions)
        transitions.append(torch.cat([obs["policy"], rewards[:, None]], dim=1))
    return torch.stack(transitions)


def test_transitions_are_playgrounds(point_mass: PlaygroundEnv) -> None:
    task, num_envs = point_mass.task, point_mass.num_envs
    reset, step = jax.jit(jax.vmap(task.reset)), jax.jit(jax.vmap(task.step))
    _, key = jax.random.split(jax.random.PRNGKey(3))
    state = reset(jax.random.split(key, num_envs))
    obs = point_mass.get_observations()
    assert obs["policy"].shape == (8, 4)
    np.testing.assert_allclose(obs["policy"], state.obs, atol=1e-6)

    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        actions = 2.0 * torch.rand(num_envs, 2, generator=generator) - 1.0
        obs, rewards, dones, extras = point_mass.step(actions)
        state = step(state, actions.numpy())
        np.testing.assert_allclose(obs["policy"], state.obs, atol=1e-5)
        np.testing.assert_allclose(rewards, state.reward, atol=1e-4)
        assert rewards.dtype == torch.float32
        assert dones.dtype == torch.long
        assert not dones.any()
        for name, value in state.metrics.items():
            np.testing.assert_allclose(extras["log"][f"/PointMass/{name}"], value.mean(), atol=1e-4)
    assert (obs["policy"] - point_mass.reset()[0]["policy"]).abs().amax() > 0.01


def test_what_rsl_rl_reads(point_mass: PlaygroundEnv) -> None:
    assert (point_mass.num_envs, point_mass.num_actions, point_mass.max_episode_length) == (8, 2, 1000)
    assert point_mass.step_dt == pytest.approx(0.02)
    assert point_mass.unwrapped is point_mass
    expected = {"task": "PointMass", "num_envs": 8, "device": "cpu", "seed": 3, "impl": "jax", "episode_length": 1000}
    assert expected.items() <= point_mass.cfg.items()
    assert point_mass.cfg["versions"]["playground"].startswith("0.2.")


def test_actions_are_clipped(stub_env: PlaygroundEnv) -> None:
    _, rewards, *_ = stub_env.step(torch.tensor([[0.0, 3.0], [0.0, 1.0], [0.0, -7.0], [0.0, 0.3]]))
    torch.testing.assert_close(rewards, torch.tensor([1.0, 1.0, -1.0, 0.3]))


def test_terminations_are_told_from_time_outs(stub_env: PlaygroundEnv) -> None:
    for length in range(1, 5):
        _, _, dones, extras = stub_env.step(first_actions(0.0, 1.0 if length == 2 else 0.0, 0.0, 0.0))
        assert dones.tolist() == [0, int(length == 2), 0, 0]
        assert not extras["time_outs"].any()
    assert stub_env.episode_length_buf.tolist() == [4, 2, 4, 4]
    # The third environment ends by the task in the step in which its time is up.
    obs, _, dones, extras = stub_env.step(first_actions(0.0, 0.0, 1.0, 0.0))
    assert dones.tolist() == [1, 0, 1, 1]
    assert extras["time_outs"].tolist() == [True, False, False, True]
    assert stub_env.episode_length_buf.tolist() == [0, 3, 0, 0]
    assert obs["policy"][1] >= 3.0
    assert (obs["policy"][[0, 2, 3]] < 1.0).all()


def test_episode_lengths_that_the_runner_overwrites_count(stub_env: PlaygroundEnv) -> None:
    stub_env.episode_length_buf = torch.tensor([4, 0, 3, 4])
    _, _, dones, extras = stub_env.step(torch.zeros(4, 2))
    assert dones.tolist() == extras["time_outs"].long().tolist() == [1, 0, 0, 1]
    stub_env.episode_length_buf[1] = 4  # in place, too
    assert stub_env.step(torch.zeros(4, 2))[2].tolist() == [0, 1, 1, 0]


def test_every_episode_starts_from_a_state_of_its_own(stub_env: PlaygroundEnv) -> None:
    starts = [stub_env.get_observations()["policy"].flatten()]
    endings = [(0, 1, 0, 0), (0, 0, 0, 0), (1, 1, 0, 1), (1, 1, 1, 1), (1, 1, 1, 1), (0, 0, 1, 0), (1, 0, 0, 1)]
    for ending in 3 * endings:
        stub_env.episode_length_buf.zero_()
        before = stub_env.get_observations()["policy"].flatten()
        obs = stub_env.step(first_actions(*ending))[0]["policy"].flatten()
        ended = torch.tensor(ending, dtype=torch.bool)
        torch.testing.assert_close(obs[~ended], before[~ended] + 1.0)
        starts.append(obs[ended])
    starts.append(stub_env.reset()[0]["policy"].flatten())
    drawn = torch.cat(starts)
    assert ((drawn >= 0.0) & (drawn < 1.0)).all()
    assert len(drawn.unique()) == len(drawn) == 4 + 3 * 15 + 4


def test_an_infinite_state_ends_its_episode_and_reaches_nobody(stub_env: PlaygroundEnv) -> None:
    for actions in (first_actions(-1.0, 0.0, 0.0, 0.0), first_actions(0.0, 0.0, 0.0, 0.0)):
        obs, rewards, dones, extras = stub_env.step(actions)
        assert dones.tolist() == [int(actions[0, 0] < 0), 0, 0, 0]
        assert not extras["time_outs"].any()
        values = [obs["policy"], obs["privileged_state"], rewards, *extras["log"].values()]
        assert all(value.isfinite().all() for value in values)


def test_groups_of_a_dictionary(stub_env: PlaygroundEnv) -> None:
    obs = stub_env.get_observations()
    assert {name: tuple(obs[name].shape) for name in obs.keys()} == {"policy": (4, 1), "privileged_state": (4, 2)}  # noqa: SIM118


@pytest.mark.parametrize("observation", ["image", "nameless"])
def test_other_observations_are_refused(observation: str) -> None:
    with pytest.raises(ConfigError, match="only flat ones"):
        make_stub(observation=observation)


def test_action_repeat_and_episode_length() -> None:
    env = make_stub(cfg=PlaygroundEnvCfg(impl="jax", episode_length=7), action_repeat=2)
    assert (env.max_episode_length, env.step_dt) == (4, pytest.approx(0.2))
    start = env.get_observations()["policy"]
    obs, rewards, *_ = env.step(torch.tensor([[0.0, 0.25]] * 4))
    torch.testing.assert_close(obs["policy"], start + 2.0)
    torch.testing.assert_close(rewards, torch.full((4,), 0.5))


def test_seeds_reproduce_and_leave_torchs_random_numbers_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (play(make_stub(seed=seed), num_steps=20) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_physics_reproduces_and_comes_from_the_cache(point_mass: PlaygroundEnv) -> None:
    def programs() -> set[str]:
        return {path.name for path in install.enable_cache().glob("jit_advance*-cache")}

    before = programs()
    assert before
    envs = [PlaygroundEnv("PointMass", num_envs=8, seed=5, cfg=JAX) for _ in range(2)]
    assert programs() == before
    trajectories = []
    for env in envs:
        env.episode_length_buf = torch.arange(8) * 3 + 980
        trajectories.append(play(env, num_steps=30))
    assert torch.equal(*trajectories)


def test_tensors_handed_out_are_the_callers(stub_env: PlaygroundEnv) -> None:
    expected = stub_env.get_observations()["policy"] + 1.0
    stub_env.get_observations()["policy"].fill_(100.0)
    torch.testing.assert_close(stub_env.get_observations()["policy"], expected - 1.0)
    actions = torch.zeros(4, 2)
    obs, rewards, dones, extras = stub_env.step(actions)
    torch.testing.assert_close(obs["policy"], expected)
    obs["policy"].mul_(2.0)
    torch.testing.assert_close(stub_env.get_observations()["policy"], expected)
    kept = [obs["policy"], rewards, dones, extras["time_outs"], *extras["log"].values()]
    copies = [tensor.clone() for tensor in kept]
    for _ in range(3):
        stub_env.step(actions.fill_(0.4))
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(kept, copies, strict=True))


def test_stock_ppo_trains(reacher: PlaygroundEnv) -> None:
    cfg = PPORunnerCfg(
        num_steps_per_env=8,
        actor=GaussianActorCfg(hidden_dims=[32, 32], obs_normalization=True),
        critic=NetworkCfg(hidden_dims=[32, 32]),
    )
    check_training(reacher, to_rsl_rl(cfg))


def test_dpcppo_trains(reacher: PlaygroundEnv) -> None:
    check_training(reacher, agent_dict(small_agent()))


def check_training(env: PlaygroundEnv, cfg: dict[str, Any]) -> None:
    """Train for 2 iterations from random episode lengths, so that some episodes end."""
    runner = make_runner(env, cfg)
    runner.learn(2, init_at_random_ep_len=True)
    policy = runner.get_inference_policy("cpu")
    obs, _ = env.reset()
    assert not env.episode_length_buf.any()
    with torch.inference_mode():
        for _ in range(3):
            actions = policy(obs)
            assert actions.isfinite().all()
            obs, *_ = env.step(actions)
    assert (env.episode_length_buf == 3).all()


FILM = """
import numpy, sys, torch
from rsl_dpcppo.tasks.playground.env import PlaygroundEnvCfg, film

cfg = PlaygroundEnvCfg(impl="jax", episode_length=15)
sizes = []
def policy(obs):
    sizes.append(tuple(obs["policy"].shape))
    return torch.ones(1, 2)
frames, frequency = film("PointMass", cfg, policy, num_steps=20, device="cpu", seed=0, size=(96, 800))
assert sizes == 20 * [(1, 4)], sizes
numpy.savez(sys.argv[1], frames=frames, frequency=frequency)
"""


def test_film(tmp_path: Path) -> None:
    # In a process of its own: MuJoCo chooses its OpenGL once, and here others may have imported it before the bridge.
    folder = str(jax.config.jax_compilation_cache_dir)
    arguments = [sys.executable, "-c", FILM, str(tmp_path / "film.npz")]
    subprocess.run(arguments, check=True, env={**os.environ, "JAX_COMPILATION_CACHE_DIR": folder})
    saved = np.load(tmp_path / "film.npz")
    frames = saved["frames"]
    assert frames.shape == (20, 96, 800, 3)
    assert frames.dtype == np.uint8
    assert saved["frequency"] == pytest.approx(50.0)
    # A new episode starts after 15 steps, somewhere else: the picture jumps there, and moves little otherwise.
    changes = np.abs(np.diff(frames.astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert changes[8] > 0.0
    assert int(np.argmax(changes)) == 14


def test_film_without_opengl(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no context")

    monkeypatch.setattr("mujoco.Renderer", fail)
    with pytest.raises(ConfigError, match=r"no context.*libegl1.*MUJOCO_GL=egl"):
        film("PointMass", JAX, lambda obs: torch.zeros(1, 2), num_steps=1, device="cpu", seed=0)


def test_task_names() -> None:
    assert {"PointMass", "ReacherEasy", "WalkerRun", "Go1JoystickFlatTerrain", "PandaPickCube"} <= set(task_names())


def test_compiling_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    make_stub(num_envs=3)
    before, after = capsys.readouterr().out.splitlines()
    assert before.startswith(
        f"[INFO] Compiling {stub.NAME} for 3 environments (10 s to 2 min the first time; cached in"
    )
    assert str(jax.config.jax_compilation_cache_dir) in before
    assert after.startswith("[INFO] Compiled in ")


def test_the_module_can_be_read_without_jax() -> None:
    code = "import sys, rsl_dpcppo.tasks.playground.env; assert not {'jax', 'mujoco'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_cache_is_the_users_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        assert install.enable_cache() == tmp_path / "rsl_dpcppo" / "jax"
        jax.config.update("jax_compilation_cache_dir", "/mine")
        assert install.enable_cache() == Path("/mine")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "PointMas"}, "no task 'PointMas'. Did you mean 'PointMass'?"),
        ({"num_envs": 0}, "num_envs is 0; it must be a whole number, 1 or more"),
        ({"device": "mps"}, "device is 'mps'"),
        ({"device": "cuda:31"}, r"device is 'cuda:31', but jax .* sees .*pip install \"jax\[cuda1.\]"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        PlaygroundEnv(**{"name": "PointMass", "num_envs": 1, "cfg": JAX, **arguments})


@pytest.mark.parametrize("field", [{"impl": "numpy"}, {"episode_length": -1}])
def test_wrong_fields(field: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(field))):
        PlaygroundEnvCfg(**field)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "need playground and jax, not installed"),
        ({"playground": "0.2.0"}, "need jax, not installed"),
        ({"playground": "0.1.4", "jax": "0.10.2"}, "playground 0.1.4 is installed; 0.2.x is supported"),
    ],
)
def test_unsupported_installations(monkeypatch: pytest.MonkeyPatch, found: dict[str, str], message: str) -> None:
    check_installed()
    monkeypatch.setattr(install, "versions", lambda: found)
    with pytest.raises(ConfigError, match=rf"{message}.*pip install -e \"\.\[playground\]\""):
        check_installed()


def test_the_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "find_spec", lambda name: object())
    assert install.pick_impl("auto", "cpu") == "jax"
    assert install.pick_impl("auto", "cuda:0") == "warp"
    assert install.pick_impl("jax", "cuda:0") == "jax"
    monkeypatch.setattr(install, "find_spec", lambda name: None)
    assert install.pick_impl("auto", "cuda:0") == "jax"
    with pytest.raises(ConfigError, match="warp-lang is not installed"):
        install.pick_impl("warp", "cuda:0")


def test_robot_models_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mujoco_playground._src import mjx_env

    def fail(*_: Any) -> None:
        raise subprocess.CalledProcessError(128, ["git", "clone"])

    monkeypatch.setattr(mjx_env, "EXTERNAL_DEPS_PATH", tmp_path)
    monkeypatch.setattr(mjx_env, "MENAGERIE_PATH", tmp_path / "mujoco_menagerie")
    monkeypatch.setattr(mjx_env, "_clone_with_progress", fail)
    with pytest.raises(ConfigError, match=r"Go1JoystickFlatTerrain.*mujoco_menagerie.*failed"):
        bridge._load("Go1JoystickFlatTerrain", JAX, "cpu")
