# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the multi-goal task and of its evaluation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.embedded.multi_goal import (
    DISTANCE_COST,
    GOALS,
    MAX_STEPS,
    SADDLES,
    MultiGoalCfg,
    MultiGoalEnv,
    goal_tensor,
    optimal_return,
)
from rsl_dpcppo.tasks.embedded.multi_goal_report import OUTCOMES, draw, evaluate, format_table, rollout
from rsl_dpcppo.tasks.task import Policy


def make_env(positions: list[list[float]] | torch.Tensor, seed: int = 0) -> MultiGoalEnv:
    """Return an environment whose first episodes start at the given positions of shape [num_envs, 2]."""
    positions = torch.as_tensor(positions)
    env = MultiGoalEnv(num_envs=len(positions), seed=seed)
    env.load_state_dict(env.state_dict() | {"positions": positions})
    return env


def walk_to(goal: tuple[float, float]) -> Policy:
    """Return the policy that walks straight to a goal."""
    return lambda obs: (10.0 * (torch.tensor(goal) - obs["policy"])).clamp(-1.0, 1.0)


def stay(obs: TensorDict) -> torch.Tensor:
    """Policy that does not move."""
    return torch.zeros_like(obs["policy"])


def walk_randomly(obs: TensorDict) -> torch.Tensor:
    """Policy that goes to a random goal, chosen anew in each step but mostly the nearest."""
    positions, goals = obs["policy"], goal_tensor("cpu")
    choice = (-6.0 * torch.cdist(positions, goals)).softmax(dim=-1).multinomial(1).squeeze(-1)
    return torch.nn.functional.normalize(goals[choice] - positions) + 0.1 * torch.randn_like(positions)


def test_step_matches_numpy() -> None:
    env = MultiGoalEnv(num_envs=256, seed=3)
    rng = np.random.default_rng(0)
    goals = np.array([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0], [0.0, -5.0]])
    for _ in range(3):
        positions = env.get_observations()["policy"].double().numpy()
        actions = rng.uniform(-2.0, 2.0, (256, 2)).astype(np.float32)
        obs, rewards, dones, _ = env.step(torch.from_numpy(actions))

        distances = np.sqrt(((positions[:, None, :] - goals[None]) ** 2).sum(-1)).min(1)
        moved = np.clip(positions + 0.3 * np.clip(actions, -1.0, 1.0), -7.0, 7.0)
        np.testing.assert_allclose(rewards.numpy(), -0.5 * distances + 10.0 * (distances < 1.0), atol=1e-5)
        np.testing.assert_array_equal(dones.numpy() > 0, distances < 1.0)
        np.testing.assert_allclose(obs["policy"].numpy()[distances >= 1.0], moved[distances >= 1.0], atol=1e-5)
        assert (distances < 1.0).any(), "the test needs an episode that ends"


@pytest.mark.parametrize(
    ("start", "goal", "expected"),
    [((0.0, 0.0), goal, -11.75) for goal in ((5.0, 0.0), (-5.0, 0.0), (0.0, 5.0), (0.0, -5.0))]
    + [((x, y), (2.0 * x, 0.0), 2.08) for x in (2.5, -2.5) for y in (2.5, -2.5)]
    + [((x, y), (0.0, 2.0 * y), 2.08) for x in (2.5, -2.5) for y in (2.5, -2.5)],
)
def test_greedy_returns(start: tuple[float, float], goal: tuple[float, float], expected: float) -> None:
    env = make_env([list(start)])
    policy, total, done = walk_to(goal), 0.0, False
    while not done:
        _, rewards, dones, extras = env.step(policy(env.get_observations()))
        total, done = total + rewards.item(), bool(dones)
    assert not extras["time_outs"].any()
    assert total == pytest.approx(expected, abs=0.01)
    assert optimal_return(torch.tensor([start])).item() == pytest.approx(expected, abs=0.01)


def test_no_policy_beats_the_optimal_return() -> None:
    torch.manual_seed(0)
    starts = MultiGoalEnv(num_envs=500).get_observations()["policy"]
    optimum = optimal_return(starts)
    walks = torch.stack([rollout(walk_to((x, y)), starts).returns for x, y in GOALS]).amax(dim=0)
    assert (walks <= optimum + 1e-4).all()
    assert (rollout(walk_randomly, starts).returns <= optimum + 1e-4).all()
    # The greedy walk overshoots where one gap closes before the other, which costs it a little.
    assert (optimum - walks).mean() < 0.05


def test_terminations_are_not_time_outs() -> None:
    # The second point gets to the southern goal just in time for its last step, the third one a step too late.
    env = make_env([[0.0, 0.0], [0.0, 1.5], [0.0, 1.8]])
    actions = torch.tensor([[0.0, 0.0], [0.0, -1.0], [0.0, -1.0]])
    for _ in range(MAX_STEPS - 1):
        _, _, dones, extras = env.step(actions)
        assert not dones.any()
        assert not extras["time_outs"].any()
    obs, rewards, dones, extras = env.step(actions)
    assert dones.tolist() == [1, 1, 1]
    assert extras["time_outs"].tolist() == [True, False, True]
    assert (rewards > 0).tolist() == [False, True, False]
    assert env.episode_length_buf.tolist() == [0, 0, 0]
    torch.testing.assert_close(obs["policy"], env.get_observations()["policy"], rtol=0.0, atol=0.0)


def test_runner_may_set_the_episode_lengths() -> None:
    env = make_env([[0.0, 0.0], [0.0, 0.0]])
    env.episode_length_buf = torch.tensor([MAX_STEPS - 1, 0])
    _, _, dones, extras = env.step(torch.zeros(2, 2))
    assert dones.tolist() == [1, 0]
    assert extras["time_outs"].tolist() == [True, False]


def test_positions_are_bounded() -> None:
    env = make_env([[6.9, -6.9]])
    obs, *_ = env.step(torch.tensor([[100.0, -100.0]]))
    assert obs["policy"].tolist() == [[7.0, -7.0]]
    starts = MultiGoalEnv(num_envs=10_000).get_observations()["policy"]
    assert 5.9 < starts.abs().amax() <= 6.0


def test_observations_are_copies() -> None:
    env = make_env([[1.0, 2.0]])
    env.get_observations()["policy"].zero_()
    assert env.get_observations()["policy"].tolist() == [[1.0, 2.0]]


def run(env: MultiGoalEnv, num_steps: int) -> list[torch.Tensor]:
    """Step with actions that depend on the observations alone and return all that the environment gave."""
    outputs = []
    # As in the runner: the tensors of the environment then must not be written to outside of this block.
    with torch.inference_mode():
        for _ in range(num_steps):
            actions = (3.0 * env.get_observations()["policy"]).sin()
            obs, rewards, dones, extras = env.step(actions)
            outputs += [obs["policy"], rewards, dones, extras["time_outs"], extras["log"]["/multi_goal/goal_rate"]]
    return outputs


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    """Return whether the tensors are equal bit by bit."""
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_seed_decides_the_run() -> None:
    expected = run(MultiGoalEnv(num_envs=32, seed=5), 50)
    torch.rand(100)
    assert equal(run(MultiGoalEnv(num_envs=32, seed=5), 50), expected)
    assert not equal(run(MultiGoalEnv(num_envs=32, seed=6), 50), expected)

    env = MultiGoalEnv(num_envs=32, seed=6)
    env.seed(5)
    obs, info = env.reset()
    assert info == {}
    assert obs.batch_size == (32,)
    assert equal(run(env, 50), expected)
    assert env.cfg["seed"] == 5


def test_resume_is_bit_equal(tmp_path: Path) -> None:
    env = MultiGoalEnv(num_envs=32, seed=5)
    run(env, 33)
    torch.save(env.state_dict(), tmp_path / "env.pt")
    expected = run(env, 50)
    assert any(dones.any() for dones in expected[2::5]), "the test needs an episode that ends"

    resumed = MultiGoalEnv(num_envs=32, seed=99)
    state = torch.load(tmp_path / "env.pt", weights_only=True)
    resumed.load_state_dict(state)
    assert equal(run(resumed, 50), expected)

    again = MultiGoalEnv(num_envs=32)
    again.load_state_dict(state)
    assert equal(run(again, 50), expected), "the first continuation changed the loaded state"


def test_load_rejects_another_num_envs() -> None:
    state = MultiGoalEnv(num_envs=8).state_dict()
    with pytest.raises(ValueError, match=r"num_envs=8.*num_envs=4.*--num_envs 8"):
        MultiGoalEnv(num_envs=4).load_state_dict(state)


def test_load_from_another_kind_of_device_warns() -> None:
    env = make_env([[1.0, 2.0]])
    # A generator on a GPU has a state of 16 bytes.
    state = env.state_dict() | {"generator_state": torch.zeros(16, dtype=torch.uint8)}
    other = MultiGoalEnv(num_envs=1)
    with pytest.warns(UserWarning, match="same kind of device"):
        other.load_state_dict(state)
    assert other.get_observations()["policy"].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("num_envs", [0, -3])
def test_num_envs_must_be_positive(num_envs: int) -> None:
    with pytest.raises(ValueError, match=rf"num_envs is {num_envs}.*at least 1"):
        MultiGoalEnv(num_envs=num_envs)


def test_goal_rate() -> None:
    env = make_env([[5.0, 0.0], [0.0, 0.0]])
    env.episode_length_buf = torch.tensor([0, MAX_STEPS - 2])
    rates = [env.step(torch.zeros(2, 2))[3]["log"]["/multi_goal/goal_rate"] for _ in range(2)]
    assert rates[0].item() == 1.0
    assert rates[1].shape == ()
    assert 0.0 < rates[1].item() < 1.0

    env = make_env([[0.0, 0.0]])
    assert env.step(torch.zeros(1, 2))[3]["log"]["/multi_goal/goal_rate"].item() == 0.0, "no episode has ended"


def test_shares_of_the_goals_count_what_started_near_the_origin() -> None:
    """Of six points at goals four came from near the origin: three went east, one north."""
    env = make_env([[5.0, 0.0], [5.0, 0.0], [5.0, 0.0], [0.0, 5.0], [-5.0, 0.0], [0.0, -5.0]])
    env._from_centre = torch.tensor([True, True, True, True, False, False])
    log = env.step(torch.zeros(6, 2))[3]["log"]
    shares = [log[f"/multi_goal/share_{name}"].item() for name in "EWNS"]
    assert shares == pytest.approx([0.75, 0.0, 0.25, 0.0])
    assert log["/multi_goal/share_entropy"].item() == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    starts = env.get_observations()["policy"]
    assert torch.equal(env._from_centre, torch.linalg.vector_norm(starts, dim=-1) < 1.0), "all have started anew"


def test_closed_goals_are_not_there() -> None:
    """They neither pay nor end an episode, and the distance is that to the nearest of the others."""
    env = MultiGoalEnv(num_envs=2, cfg=MultiGoalCfg(closed=["E", "N"]))
    env._positions = torch.tensor([[5.0, 0.0], [-5.0, 0.0]])
    _, rewards, dones, _ = env.step(torch.zeros(2, 2))
    assert dones.tolist() == [0, 1]
    assert rewards[0].item() == pytest.approx(-DISTANCE_COST * math.dist(GOALS[0], GOALS[3]), rel=1e-5)
    saddle = torch.tensor([[0.0, 0.0]])
    assert optimal_return(saddle, ["E", "N"]).item() == pytest.approx(optimal_return(saddle).item(), abs=0.01)
    report = evaluate(walk_to((5.0, 0.0)), num_trajectories=4, closed=["E", "N"])
    assert report.outcome_shares[0] == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert report.to_dict()["modes"] == {"W": 0.0, "S": 0.0}


@pytest.mark.parametrize("closed", [["east"], ["E", "W", "N", "S"]])
def test_wrong_closed_goals_are_refused(closed: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"env\.closed"):
        MultiGoalCfg(closed=closed)


def test_rollout_equals_environment() -> None:
    torch.manual_seed(0)
    env = MultiGoalEnv(num_envs=200, seed=1)
    starts = env.get_observations()["policy"]
    actions = torch.rand(MAX_STEPS, 200, 2) * 2.0 - 1.0
    actions[:, :100] = walk_to((0.0, 5.0))(TensorDict({"policy": starts}))[:100]
    remaining = iter(actions)
    trajectories = rollout(lambda obs: next(remaining), starts)

    returns, alive, ended_at = torch.zeros(200), torch.ones(200, dtype=torch.bool), torch.full((200,), -1)
    for t in range(MAX_STEPS):
        positions = env.get_observations()["policy"]
        torch.testing.assert_close(trajectories.positions[t, alive], positions[alive], atol=0.0, rtol=0.0)
        _, rewards, dones, extras = env.step(actions[t])
        returns += rewards * alive
        ended = alive & (dones > 0) & ~extras["time_outs"]
        ended_at[ended] = torch.cdist(positions, goal_tensor("cpu")).argmin(dim=1)[ended]
        alive &= dones == 0
    assert not alive.any()
    torch.testing.assert_close(trajectories.returns, returns)
    assert torch.equal(trajectories.goals, ended_at)
    assert {-1, 2} <= set(ended_at.tolist()), "the test needs both outcomes"
    reached = ended_at >= 0
    at_goal = goal_tensor("cpu")[ended_at[reached]]
    assert (torch.linalg.vector_norm(trajectories.positions[-1, reached] - at_goal, dim=-1) < 1.0).all()


def test_evaluate() -> None:
    report = evaluate(walk_to((5.0, 0.0)), num_trajectories=4)
    assert report.mean_returns[:2] == pytest.approx([-11.75, 2.08], abs=0.01)
    assert report.mean_return == pytest.approx(sum(report.mean_returns) / 5)
    assert report.optimal_returns == pytest.approx([-11.75] + 4 * [2.08], abs=0.01)
    assert report.standard_errors == pytest.approx([0.0] * 5, abs=1e-5)
    assert report.origin_shares == [1.0, 0.0, 0.0, 0.0, 0.0]

    assert evaluate(stay, num_trajectories=4).outcome_shares == [[0.0, 0.0, 0.0, 0.0, 1.0]] * 5

    torch.manual_seed(0)
    report = evaluate(walk_randomly, num_trajectories=256)
    for shares in report.outcome_shares:
        assert sum(shares) == pytest.approx(1.0)
    assert all(share > 0.15 for share in report.origin_shares[:4])
    assert all(0.0 < error < 1.0 for error in report.standard_errors)
    decoded = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert decoded["mean_return"] == report.mean_return
    assert list(decoded["modes"].items()) == list(zip(OUTCOMES[:4], report.origin_shares[:4], strict=True))
    assert len(decoded["saddles"]) == len(SADDLES)
    assert list(decoded["saddles"][0]["outcome_shares"]) == list(OUTCOMES)

    with pytest.raises(ValueError, match=r"num_trajectories is 1.*at least 2"):
        evaluate(stay, num_trajectories=1)


def test_table_contains_the_figures() -> None:
    torch.manual_seed(0)
    reports = {"Flow": evaluate(walk_randomly, 64), "Gaussian PPO": evaluate(stay, 64)}
    lines = format_table(reports).splitlines()
    assert lines[1].split() == ["start", "Flow", "Gaussian", "PPO", "optimum"]
    for i, line in enumerate(lines[2:7]):
        for report in reports.values():
            assert f"{report.mean_returns[i]:.2f} ± {report.standard_errors[i]:.2f}" in line
        assert line.endswith("-11.75" if i == 0 else "2.08")
    assert lines[8].startswith("mean")
    assert f"{reports['Flow'].mean_return:.2f} ±" in lines[8]
    assert len({len(line) for line in lines[1:9]}) == 1, "the columns are not aligned"
    assert lines[-2].split()[1:] == [f"{100 * share:.1f}" for share in reports["Flow"].origin_shares]
    assert lines[-1].split()[2:] == ["0.0", "0.0", "0.0", "0.0", "100.0"]


def test_draw_writes_a_png(tmp_path: Path) -> None:
    path = tmp_path / "multimodality.png"
    draw({"Flow": walk_randomly, "Gaussian PPO": stay}, path, num_trajectories=8, num_first_actions=16)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))
    assert width >= 1000
    assert height >= 1000
    assert len(data) > 30_000, "the picture is nearly empty"
    with pytest.raises(ValueError, match="policies is empty"):
        draw({}, path)
