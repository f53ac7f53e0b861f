# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the bandit with several good actions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agents import make_runner

from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.embedded.tasks import two_modes_dpcppo_modes, two_modes_fold_modes, two_modes_off_policy
from rsl_dpcppo.tasks.embedded.two_modes import TwoModesCfg, TwoModesEnv, mode_shares, report, reward

MODES = torch.tensor([0.6, -1.2])


def test_reward_is_a_sum_of_peaks() -> None:
    actions = np.linspace(-3.0, 3.0, 61)
    expected = np.exp(-(((actions - 0.6) / 0.15) ** 2)) + np.exp(-(((actions + 1.2) / 0.15) ** 2))
    rewards = reward(torch.tensor(actions)[:, None], MODES.double(), 0.15)
    np.testing.assert_allclose(rewards.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_shares_count_what_is_near_a_mode() -> None:
    actions = torch.tensor([[0.6], [0.89], [0.91], [-1.2], [-1.0], [0.0]])
    assert mode_shares(actions, MODES, 0.15).tolist() == pytest.approx([2 / 6, 2 / 6])


def test_every_step_ends_an_episode_and_logs_the_shares() -> None:
    env = TwoModesEnv(TwoModesCfg(modes=[0.6, -1.2], width=0.15), num_envs=4)
    _, rewards, dones, extras = env.step(torch.tensor([[0.6], [0.6], [0.6], [-1.2]]))
    assert rewards.tolist() == pytest.approx([1.0] * 4)
    assert dones.tolist() == [1] * 4
    assert not extras["time_outs"].any()
    log = {name: value.item() for name, value in extras["log"].items()}
    assert log["/two_modes/share_+0.6"] == 0.75
    assert log["/two_modes/share_-1.2"] == 0.25
    assert log["/two_modes/share_entropy"] == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"modes": [1.0]}, "env.modes"),
        ({"modes": [1.0, {}]}, "env.modes"),
        ({"modes": [1.0, float("nan")]}, "env.modes"),
        ({"width": 0.0}, "env.width"),
        ({"width": float("nan")}, "env.width"),
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, object], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        TwoModesCfg(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("agent", "cfg"),
    [
        (two_modes_dpcppo_modes, TwoModesCfg()),
        pytest.param(two_modes_dpcppo_modes, TwoModesCfg(modes=[0.6, -1.2], width=0.15), marks=pytest.mark.slow),
        pytest.param(two_modes_fold_modes, TwoModesCfg(), marks=pytest.mark.slow),
    ],
)
def test_both_modes_are_held(agent: Callable[[], Any], cfg: TwoModesCfg, tmp_path: Path) -> None:
    torch.manual_seed(1)
    env = TwoModesEnv(cfg, num_envs=512)
    runner = make_runner(env, to_rsl_rl(agent()))
    runner.learn(40)
    policy = runner.get_inference_policy("cpu")
    report({"Flow+Res": policy}, env, tmp_path)
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())["Flow+Res"]
    assert evaluation["mean_return"] > 0.8
    assert list(evaluation["modes"]) == [f"{mode:+g}" for mode in cfg.modes]
    assert min(evaluation["modes"].values()) > 0.25


@pytest.mark.slow
@pytest.mark.skipif(GENERATION != 5, reason="off-policy agents need rsl-rl-lib 5.x")
def test_sdac_holds_both_modes_though_its_critics_choose(tmp_path: Path) -> None:
    cfg = two_modes_off_policy("sdac")
    torch.manual_seed(1)
    env = TwoModesEnv(TwoModesCfg(), num_envs=cfg.num_envs)
    runner = make_runner(env, to_rsl_rl(cfg))
    runner.learn(cfg.max_iterations)
    report({"SDAC": runner.get_inference_policy("cpu")}, env, tmp_path)
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())["SDAC"]
    assert evaluation["mean_return"] > 0.95
    assert min(evaluation["modes"].values()) > 0.25


def test_the_base_action_baseline_is_resumed(tmp_path: Path) -> None:
    """A run that is resumed goes on as if it had not been interrupted, with all that holds the modes."""
    cfg = two_modes_dpcppo_modes()
    results = []
    for interrupted in (False, True):
        torch.manual_seed(1)
        runner = make_runner(TwoModesEnv(TwoModesCfg(), num_envs=64), to_rsl_rl(cfg))
        runner.learn(2)
        if interrupted:
            runner.save(str(tmp_path / "model.pt"))
            runner = make_runner(TwoModesEnv(TwoModesCfg(), num_envs=64), to_rsl_rl(cfg))
            runner.load(str(tmp_path / "model.pt"))
        runner.learn(2)
        results.append([*runner.alg.model.parameters(), *runner.alg.learner._baseline.network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
