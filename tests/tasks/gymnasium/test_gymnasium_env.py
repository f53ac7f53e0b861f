# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

import sys

import numpy as np
import pytest
import torch
from agents import make_runner, rollout, same, small_agent

from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.config.ppo import GaussianActorCfg, NetworkCfg, PPORunnerCfg
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks import packages
from rsl_dpcppo.tasks.gymnasium import env as module
from rsl_dpcppo.tasks.gymnasium.env import GymnasiumEnv, GymnasiumEnvCfg, film
from rsl_dpcppo.tasks.gymnasium.names import check_installed, task_ids

gymnasium = pytest.importorskip("gymnasium", minversion="1.1")
Box = gymnasium.spaces.Box


class Recorder(gymnasium.Env):
    """Observes the steps since its start and the action that it got, pays the first action, ends at the second's 9."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012
    action_space = Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 10.0], np.float32))

    def __init__(self, bonus: float = 0.0, image: bool = False, render_mode: str | None = None) -> None:
        self.bonus, self.render_mode = bonus, render_mode
        parts = {"steps": Box(0.0, 99.0, (1,)), "action": Box(-2.0, 10.0, (2,))}
        if image:
            parts["camera"] = Box(0, 255, (8, 8, 3), np.uint8)
        self.observation_space = gymnasium.spaces.Dict(parts)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observation(np.zeros(2, np.float32)), {}

    def step(self, action):
        self.steps += 1
        return self._observation(action), float(action[0]) + self.bonus, bool(action[1] >= 9.0), False, {}

    def render(self):
        return np.full((4, 6, 3), self.steps, np.uint8)

    def _observation(self, action):
        return {"steps": np.array([self.steps], np.float32), "action": action}


class Blind(Recorder):
    metadata = {"render_modes": []}  # noqa: RUF012


for name, entry_point, limit in (("Recorder", Recorder, 5), ("Endless", Recorder, None), ("Blind", Blind, 5)):
    gymnasium.register(f"{name}-v0", entry_point=entry_point, max_episode_steps=limit)


def steps_of(observations):
    """Number of steps since the start that each Recorder observes; the last entry, as the names are sorted."""
    return observations["policy"][:, 2].tolist()


def test_actions_fill_the_box_and_are_clipped_to_it():
    env = GymnasiumEnv("Recorder-v0", 4)
    actions = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [0.5, 0.2], [7.0, -7.0]])
    observations, rewards, _, _ = env.step(actions)
    assert observations["policy"].dtype == torch.float32
    assert torch.allclose(
        observations["policy"][:, :2], torch.tensor([[-2.0, 0.0], [0.0, 5.0], [1.0, 6.0], [2.0, 0.0]])
    )
    assert torch.allclose(rewards, torch.tensor([-2.0, 0.0, 1.0, 2.0]))


def test_actions_without_bounds_pass_through():
    low, high = np.array([-np.inf, -1e10, 0.0, -3.0]), np.array([np.inf, 1e10, np.inf, 1.0])
    action_box = module.ActionBox(Box(low, high, dtype=np.float64))
    assert np.allclose(action_box(np.array([[4.0, -4.0, -4.0, 0.5]])), [[4.0, -4.0, 0.0, 0.0]])


def test_terminations_and_time_outs_are_told_apart_and_restart_within_the_step():
    env = GymnasiumEnv("Recorder-v0", 3)
    for step in range(1, 6):
        actions = torch.zeros(3, 2)
        actions[:, 0] = 0.5
        actions[0, 1] = float(step == 2)  # terminates early
        actions[1, 1] = float(step == 5)  # terminates in the step of the time limit
        observations, rewards, dones, extras = env.step(actions)
        assert rewards.tolist() == [1.0] * 3
        assert dones.dtype == torch.long
        if step == 2:
            assert dones.tolist() == [1, 0, 0]
            assert steps_of(observations) == [0.0, 2.0, 2.0]
            assert extras["time_outs"].tolist() == [False] * 3
    assert dones.tolist() == [0, 1, 1]
    assert extras["time_outs"].tolist() == [False, False, True]
    assert steps_of(observations) == [3.0, 0.0, 0.0]
    assert torch.equal(env.get_observations()["policy"], observations["policy"])
    assert env.episode_length_buf.tolist() == [3, 0, 0]


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_lengths_that_the_runner_writes_decide_who_times_out(vectorization):
    env = GymnasiumEnv("Recorder-v0", 3, cfg=GymnasiumEnvCfg(vectorization=vectorization))
    env.episode_length_buf = torch.tensor([0, 3, 4])
    ends = [env.step(torch.zeros(3, 2)) for _ in range(5)]
    env.close()
    assert [dones.tolist() for _, _, dones, _ in ends] == [[0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert [steps_of(observations) for observations, *_ in ends[:2]] == [[1.0, 1.0, 0.0], [2.0, 0.0, 1.0]]


def test_reset_starts_every_episode_anew():
    env = GymnasiumEnv("Recorder-v0", 2)
    env.step(torch.zeros(2, 2))
    observations, _ = env.reset()
    assert steps_of(observations) == [0.0, 0.0]
    assert env.episode_length_buf.tolist() == [0, 0]


def test_same_step_as_gymnasium():
    env, plain = GymnasiumEnv("Pendulum-v1", 3, seed=1), gymnasium.make("Pendulum-v1")
    before = env.get_observations()["policy"].double().numpy()
    actions = torch.tensor([[0.5], [-0.25], [1.0]])
    observations, rewards, _, _ = env.step(actions)
    plain.reset()
    for i, (cosine, sine, speed) in enumerate(before):
        plain.unwrapped.state = np.array([np.arctan2(sine, cosine), speed])
        expected, reward, *_ = plain.step(2.0 * actions[i].numpy())
        assert np.allclose(observations["policy"][i], expected, atol=1e-5)
        assert np.isclose(rewards[i].item(), reward, atol=1e-4)
    assert env.max_episode_length == 200
    assert env.step_dt == 0.05


def test_seeds_reproduce_bit_for_bit():
    cfg = GymnasiumEnvCfg(max_episode_steps=10)
    first = rollout(GymnasiumEnv("Pendulum-v1", 4, seed=3, cfg=cfg))
    assert same(first, rollout(GymnasiumEnv("Pendulum-v1", 4, seed=3, cfg=cfg)))
    assert len(first[0].unique(dim=0)) == 4
    # Neighbouring seeds have no start in common, as they would if environment i took seed + i.
    other = rollout(GymnasiumEnv("Pendulum-v1", 4, seed=4, cfg=cfg))
    assert len(torch.cat((first[0], other[0])).unique(dim=0)) == 8
    assert first[3].sum() == 0
    assert sum(int(dones.sum()) for dones in first[3::4]) == 8


def test_a_new_seed_holds_from_the_next_reset():
    env = GymnasiumEnv("Pendulum-v1", 2, seed=3)
    start = env.get_observations()["policy"]
    assert not torch.equal(env.reset()[0]["policy"], start)
    env.seed(3)
    assert torch.equal(env.reset()[0]["policy"], start)


def test_async_equals_sync():
    sync, parallel = (GymnasiumEnvCfg(vectorization=how, max_episode_steps=7) for how in ("sync", "async"))
    assert same(
        rollout(GymnasiumEnv("Pendulum-v1", 2, seed=5, cfg=sync)),
        rollout(GymnasiumEnv("Pendulum-v1", 2, seed=5, cfg=parallel)),
    )


def test_id_with_a_module_and_arguments(tmp_path, monkeypatch):
    (tmp_path / "robot_zoo.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Zoo-v0', entry_point='gymnasium.envs.classic_control:PendulumEnv', max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    env = GymnasiumEnv("robot_zoo:Zoo-v0", 2, cfg=GymnasiumEnvCfg(kwargs={"g": 1.5}))
    assert env.max_episode_length == 9
    assert env.cfg["task"] == "robot_zoo:Zoo-v0"
    assert env.cfg["kwargs"] == {"g": 1.5}
    assert GymnasiumEnv("Recorder-v0", 1, cfg=GymnasiumEnvCfg(kwargs={"bonus": 3.0})).step(torch.zeros(1, 2))[1] == 3.0


def test_results_of_a_step_survive_the_next_one():
    env = GymnasiumEnv("Pendulum-v1", 2, cfg=GymnasiumEnvCfg(max_episode_steps=2))
    observations, rewards, dones, _ = env.step(torch.zeros(2, 1))
    kept = [observations["policy"].clone(), rewards.clone(), dones.clone()]
    env.step(torch.ones(2, 1))
    assert same(kept, [observations["policy"], rewards, dones])


@pytest.mark.parametrize("agent", ["dpcppo", "ppo"])
def test_rsl_rl_trains_on_it(agent):
    networks = {"actor": GaussianActorCfg(hidden_dims=[32]), "critic": NetworkCfg(hidden_dims=[32])}
    cfg = small_agent() if agent == "dpcppo" else PPORunnerCfg(num_steps_per_env=8, **networks)
    env = GymnasiumEnv("Pendulum-v1", 4, cfg=GymnasiumEnvCfg(max_episode_steps=10))
    runner = make_runner(env, to_rsl_rl(cfg))
    runner.learn(num_learning_iterations=2, init_at_random_ep_len=True)
    assert len(set(env.episode_length_buf.tolist())) > 1  # the random starts were taken
    assert torch.isfinite(runner.get_inference_policy()(env.get_observations())).all()


@pytest.mark.parametrize(
    ("env_id", "fields", "words"),
    [
        ("Pendulun-v1", {}, "Did you mean 'Pendulum-v1'"),
        ("Pendulum-v9", {}, "Did you mean 'Pendulum-v1'"),
        ("no_such_module:Robot-v0", {}, "no_such_module"),
        ("CartPole-v1", {}, "Discrete"),
        ("Recorder-v0", {"kwargs": {"image": True}}, "images"),
        ("Endless-v0", {}, "max_episode_steps"),
        ("Pendulum-v1", {"kwargs": {"gravity": 3.0}}, "gravity"),
        ("Pendulum-v1", {"kwargs": {"max_episode_steps": 3}}, "field of its own"),
        ("Pendulum-v1", {"kwargs": [3]}, "dictionary"),
        ("Pendulum-v1", {"vectorization": "threads"}, "vectorization"),
        ("Pendulum-v1", {"max_episode_steps": -1}, "max_episode_steps"),
    ],
)
def test_wrong_input_is_named(env_id, fields, words):
    with pytest.raises(ConfigError, match=words):
        GymnasiumEnv(env_id, 2, cfg=GymnasiumEnvCfg(**fields))


@pytest.mark.parametrize(("arguments", "words"), [({"num_envs": 0}, "num_envs"), ({"seed": -1}, "seed")])
def test_wrong_numbers_are_named(arguments, words):
    with pytest.raises(ConfigError, match=words):
        GymnasiumEnv("Pendulum-v1", **{"num_envs": 1, **arguments})


@pytest.mark.parametrize("env_id", ["Endless-v0", "Recorder-v0"])
def test_a_limit_that_is_given_replaces_the_registered_one(env_id):
    env = GymnasiumEnv(env_id, 1, cfg=GymnasiumEnvCfg(max_episode_steps=7))
    assert env.max_episode_length == env.cfg["max_episode_steps"] == 7
    assert [env.step(torch.zeros(1, 2))[2].item() for _ in range(8)] == [0, 0, 0, 0, 0, 0, 1, 0]


def test_matrices_are_vectors_and_grey_images_are_not():
    actions = Box(-1.0, 1.0, (2,))
    module.check_spaces("Matrix-v0", Box(0.0, 1.0, (5, 7)), actions)
    with pytest.raises(ConfigError, match="images"):
        module.check_spaces("Image-v0", gymnasium.spaces.Tuple((Box(0, 255, (8, 8), np.uint8),)), actions)


def test_tasks_are_those_that_can_be_learned():
    gymnasium.register("Isaac-Like-v0", entry_point="isaaclab.envs:Env", kwargs={"env_cfg_entry_point": "module:Cfg"})
    ids = task_ids()
    gymnasium.registry.pop("Isaac-Like-v0")
    assert {"Pendulum-v1", "HalfCheetah-v5", "Recorder-v0"} <= set(ids)
    assert not {"CartPole-v1", "HalfCheetah-v4", "CarRacing-v3", "GymV21Environment-v0", "Isaac-Like-v0"} & set(ids)


def test_problems_show_before_many_environments_are_made(monkeypatch):
    made = []
    monkeypatch.setattr(Recorder, "__init__", lambda self, **_: made.append(self))
    monkeypatch.setattr(Recorder, "action_space", gymnasium.spaces.Discrete(2))
    monkeypatch.setattr(Recorder, "observation_space", Box(0.0, 1.0, (1,)), raising=False)
    with pytest.raises(ConfigError, match="Discrete"):
        GymnasiumEnv("Recorder-v0", 64)
    assert len(made) == 1


def test_missing_packages_are_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("mujoco", "gymnasium.envs.mujoco"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ConfigError, match="MuJoCo is not installed"):
        GymnasiumEnv("HalfCheetah-v5", 1)

    monkeypatch.setattr(packages, "version", lambda _: "0.29.1")
    with pytest.raises(ConfigError, match=r"0.29.1 is too old.*\[gymnasium\]"):
        check_installed()


def test_film():
    def policy(observations):
        return torch.zeros(len(observations), 2)

    frames, rate = film("Recorder-v0", GymnasiumEnvCfg(vectorization="async"), policy, num_steps=7)
    assert rate == 25.0
    assert {(frame.shape, frame.dtype) for frame in frames} == {((4, 6, 3), np.dtype(np.uint8))}
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 4, 0, 1]
    with pytest.raises(ConfigError, match="cannot be filmed"):
        film("Blind-v0", GymnasiumEnvCfg(), policy, num_steps=1)


def test_film_passes_on_what_the_graphics_say(monkeypatch):
    def fail(self):
        raise AttributeError("no context")

    monkeypatch.setattr(Recorder, "render", fail)
    with pytest.raises(ConfigError, match="no context"):
        film("Recorder-v0", GymnasiumEnvCfg(), lambda observations: torch.zeros(1, 2), num_steps=1)


def test_mujoco_episodes_are_gymnasiums():
    pytest.importorskip("mujoco")
    env = GymnasiumEnv("InvertedPendulum-v5", 2, seed=2)
    states = env.get_observations()["policy"].double().numpy()
    plain = gymnasium.make("InvertedPendulum-v5")
    expected = []
    for state in states:
        plain.reset()
        plain.unwrapped.set_state(state[:2], state[2:])
        results = [plain.step(np.zeros(1))]
        while not results[-1][2]:
            results.append(plain.step(np.zeros(1)))
        expected.append((len(results), sum(result[1] for result in results)))

    returns, lengths, alive = torch.zeros(2), torch.zeros(2), torch.ones(2, dtype=torch.bool)
    while alive.any():
        observations, rewards, dones, extras = env.step(torch.zeros(2, 1))
        returns, lengths = returns + rewards * alive, lengths + alive
        assert observations["policy"][dones.bool()].abs().le(0.01).all()  # where episodes start
        assert not extras["time_outs"].any()
        alive = alive & ~dones.bool()
    assert list(zip(lengths.tolist(), returns.tolist(), strict=True)) == expected
