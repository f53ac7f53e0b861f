# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluation by whole episodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.tasks.episodes import evaluate, report, run_episodes


class Countdown:
    """Environment i ends after i + 1 steps and starts anew; each step is worth its action."""

    num_envs, max_episode_length, device = 4, 4, "cpu"

    def reset(self) -> tuple[TensorDict, dict[str, Any]]:
        self.lengths = torch.zeros(4)
        return self.observe(), {}

    def observe(self) -> TensorDict:
        return TensorDict({"policy": self.lengths[:, None].clone()}, batch_size=[4])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        self.lengths += 1
        dones = self.lengths == torch.arange(1, 5)
        self.lengths[dones] = 0
        return self.observe(), actions[:, 0], dones.long(), {}


def worth(value: float) -> Any:
    return lambda observations: torch.full((4, 1), value)


def test_only_the_first_episode_counts() -> None:
    returns, lengths = run_episodes(worth(2.0), Countdown())
    torch.testing.assert_close(returns, torch.tensor([2.0, 4.0, 6.0, 8.0]))
    torch.testing.assert_close(lengths, torch.tensor([1.0, 2.0, 3.0, 4.0]))


def test_policy_sees_each_observation() -> None:
    returns, _ = run_episodes(lambda observations: observations["policy"], Countdown())
    torch.testing.assert_close(returns, torch.tensor([0.0, 1.0, 3.0, 6.0]))


def test_figures_are_those_of_the_returns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = evaluate(worth(1.0), Countdown())
    expected = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    assert result.mean_return == 2.5
    assert result.standard_deviation == pytest.approx(expected.std().item())
    assert result.standard_error == pytest.approx(expected.std().item() / 2)
    assert (result.mean_length, result.num_episodes) == (2.5, 4)

    report({"Flow": worth(1.0), "Flow+Res": worth(3.0)}, Countdown(), tmp_path)
    text = (tmp_path / "evaluation.json").read_text()
    assert text.count("\n") == 1
    row = json.loads(text)
    assert {name: figures["mean_return"] for name, figures in row.items()} == {"Flow": 2.5, "Flow+Res": 7.5}
    printed = capsys.readouterr().out
    assert "4 episodes" in printed
    assert "7.50" in printed
