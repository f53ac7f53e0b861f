# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from agents import make_runner, rollout, same, small_agent

from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.config.ppo import GaussianActorCfg, NetworkCfg, PPORunnerCfg
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks import packages
from rsl_dpcppo.tasks.envpool.env import EnvPoolEnv, EnvPoolEnvCfg, task_ids
from rsl_dpcppo.tasks.envpool.names import check_installed

envpool = pytest.importorskip("envpool", minversion="1.2")

PAPER = {
    "BallInCupCatch-v1": (8, 2),
    "CheetahRun-v1": (17, 6),
    "FingerSpin-v1": (12, 2),
    "PointMassEasy-v1": (4, 2),
    "ReacherEasy-v1": (6, 2),
    "ReacherHard-v1": (6, 2),
    "WalkerRun-v1": (24, 6),
    "WalkerWalk-v1": (24, 6),
}
"""Numbers in the observation and in the action of the paper's tasks."""


@pytest.mark.parametrize("env_id", PAPER)
def test_the_papers_tasks(env_id):
    env = EnvPoolEnv(env_id, 2)
    observations, rewards, dones, _ = env.step(torch.ones(2, env.num_actions))
    assert (observations["policy"].shape[1], env.num_actions) == PAPER[env_id]
    assert observations["policy"].dtype == rewards.dtype == torch.float32
    assert dones.tolist() == [0, 0]
    assert env.max_episode_length == 1000


def test_observations_are_envpools_side_by_side():
    env = EnvPoolEnv("WalkerWalk-v1", 2, seed=1)
    observations = env.get_observations()["policy"]
    # Each orientation is a cosine and a sine; then come the height at the start and velocities of zero.
    assert torch.allclose(observations[:, :14].view(2, 7, 2).square().sum(dim=-1), torch.ones(2, 7))
    assert torch.allclose(observations[:, 14], torch.tensor(1.3))
    assert torch.equal(observations[:, 15:], torch.zeros(2, 9))


def test_episodes_are_gymnasiums_and_have_no_empty_step_between_them():
    pytest.importorskip("mujoco")
    import gymnasium

    plain = gymnasium.make("InvertedPendulum-v5")
    env = EnvPoolEnv("InvertedPendulum-v5", 4, seed=2)
    starts = env.get_observations()["policy"]
    returns, lengths = torch.zeros(4), torch.zeros(4)
    num_episodes = 0
    for _ in range(150):
        observations, rewards, dones, extras = env.step(torch.zeros(4, 1))
        returns, lengths = returns + rewards, lengths + 1
        assert not extras["time_outs"].any()
        for i in dones.nonzero().flatten().tolist():
            plain.reset()
            state = starts[i].double().numpy()
            plain.unwrapped.set_state(state[:2], state[2:])
            results = [plain.step(np.zeros(1))]
            while not results[-1][2]:
                results.append(plain.step(np.zeros(1)))
            assert lengths[i] == len(results)
            assert returns[i] == sum(result[1] for result in results)
            # What the step returns with the end of one episode is the start of the next, which the next step leaves.
            starts[i] = observations["policy"][i]
            assert starts[i].abs().max() <= 0.01
            returns[i] = lengths[i] = 0.0
            num_episodes += 1
    assert num_episodes > 8


def test_the_step_after_a_time_out_obeys_its_action():
    env = EnvPoolEnv("PointMassEasy-v1", 3, cfg=EnvPoolEnvCfg(max_episode_steps=4))
    env.episode_length_buf = torch.tensor([0, 3, 0])
    ends = []
    for _ in range(5):
        observations, _, dones, extras = env.step(torch.ones(3, 2))
        ends.append(dones.tolist())
        assert torch.equal(extras["time_outs"], dones.bool())
        # The first observation of an episode is at rest, and every later one, after a push, is not.
        assert torch.equal((observations["policy"][:, 2:] == 0.0).all(dim=1), dones.bool())
    assert ends == [[0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert env.episode_length_buf.tolist() == [1, 0, 1]


def test_a_terminal_state_at_the_time_limit_is_no_time_out():
    def end(max_episode_steps):
        env = EnvPoolEnv("InvertedPendulum-v5", 1, cfg=EnvPoolEnvCfg(max_episode_steps=max_episode_steps))
        for step in range(1, 1000):
            _, _, dones, extras = env.step(torch.ones(1, 1))
            if dones.any():
                return step, bool(extras["time_outs"])
        return None

    length, timed_out = end(1000)
    assert not timed_out
    assert end(length) == (length, False)
    assert end(length - 1) == (length - 1, True)


def test_the_time_limit_of_deepminds_tasks_is_a_time_out():
    env = EnvPoolEnv("ReacherEasy-v1", 2)
    env.episode_length_buf = torch.tensor([998, 999])
    flags = [env.step(torch.zeros(2, 2))[2:] for _ in range(2)]
    assert [dones.tolist() for dones, _ in flags] == [[0, 1], [1, 0]]
    assert [extras["time_outs"].tolist() for _, extras in flags] == [[False, True], [True, False]]


def test_reset_starts_every_episode_anew():
    env = EnvPoolEnv("PointMassEasy-v1", 2)
    env.step(torch.ones(2, 2))
    observations, _ = env.reset()
    assert torch.equal(observations["policy"][:, 2:], torch.zeros(2, 2))
    assert env.episode_length_buf.tolist() == [0, 0]


def test_seeds_reproduce_bit_for_bit_with_any_number_of_threads():
    def run(seed, num_threads):
        cfg = EnvPoolEnvCfg(max_episode_steps=10, num_threads=num_threads)
        env = EnvPoolEnv("ReacherEasy-v1", 4, seed=seed, cfg=cfg)
        env.episode_length_buf = torch.tensor([0, 3, 3, 7])
        return rollout(env)

    first = run(3, num_threads=1)
    assert same(first, run(3, num_threads=1))
    assert same(first, run(3, num_threads=2))
    # Neighbouring seeds have no start in common, as they would if environment i took seed + i.
    assert len(torch.cat((first[0], run(4, num_threads=1)[0])).unique(dim=0)) == 8


def test_a_new_seed_holds_from_the_next_reset():
    env = EnvPoolEnv("ReacherEasy-v1", 2, seed=3)
    start = env.get_observations()["policy"]
    assert not torch.equal(env.reset()[0]["policy"], start)
    env.seed(3)
    assert torch.equal(env.reset()[0]["policy"], start)


def test_arguments_reach_the_environment():
    def observation(**kwargs):
        env = EnvPoolEnv("InvertedPendulum-v5", 1, seed=0, cfg=EnvPoolEnvCfg(kwargs=kwargs))
        return env.step(torch.ones(1, 1))[0]["policy"]

    # Twice as much time under the same force moves the cart further.
    assert observation(frame_skip=4)[0, 0] > observation(frame_skip=2)[0, 0] + 0.001
    assert torch.equal(observation(frame_skip=2), observation())


@pytest.mark.parametrize("agent", ["dpcppo", "ppo"])
def test_rsl_rl_trains_on_it(agent):
    networks = {"actor": GaussianActorCfg(hidden_dims=[32]), "critic": NetworkCfg(hidden_dims=[32])}
    cfg = small_agent() if agent == "dpcppo" else PPORunnerCfg(num_steps_per_env=8, **networks)
    env = EnvPoolEnv("ReacherEasy-v1", 4, cfg=EnvPoolEnvCfg(max_episode_steps=10))
    runner = make_runner(env, to_rsl_rl(cfg))
    runner.learn(num_learning_iterations=2, init_at_random_ep_len=True)
    assert len(set(env.episode_length_buf.tolist())) > 1  # the random starts were taken
    assert torch.isfinite(runner.get_inference_policy()(env.get_observations())).all()


@pytest.mark.parametrize(
    ("env_id", "fields", "words"),
    [
        ("WalkerWalk-v2", {}, "Did you mean 'WalkerWalk-v1'"),
        ("CartPole-v1", {}, "Discrete"),
        ("CarRacing-v3", {}, "images"),
        ("WalkerWalk-v1", {"max_num_envs": 1}, "env.max_num_envs=2"),
        ("WalkerWalk-v1", {"kwargs": {"frame_skips": 3}}, "Did you mean 'frame_skip'"),
        ("WalkerWalk-v1", {"kwargs": {"seed": 3}}, "no field 'seed'"),
        ("WalkerWalk-v1", {"kwargs": [3]}, "dictionary"),
        ("WalkerWalk-v1", {"num_threads": -1}, "num_threads"),
    ],
)
def test_wrong_input_is_named(env_id, fields, words):
    with pytest.raises(ConfigError, match=words):
        EnvPoolEnv(env_id, 2, cfg=EnvPoolEnvCfg(**fields))


def test_tasks_are_those_that_can_be_learned():
    ids = task_ids()
    assert {*PAPER, "HalfCheetah-v5", "Pendulum-v1"} <= set(ids)
    assert not {"Pong-v5", "CartPole-v1", "CarRacing-v3"} & set(ids)


def test_missing_envpool_is_named(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packages, "version", missing)
    with pytest.raises(ConfigError, match=r"not installed.*\[envpool\]"):
        check_installed()
