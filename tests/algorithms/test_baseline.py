# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the baseline that knows the base action."""

from __future__ import annotations

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.dpcppo.baseline import BaseActionBaseline
from rsl_dpcppo.learning.objective import standardized


def rollout(num_samples: int = 4096) -> tuple[Tensor, Tensor, Tensor]:
    """Return [s, a0], advantages that depend on both, and their expectation."""
    inputs = torch.rand(num_samples, 2) * 4.0 - 2.0
    expected = torch.sign(inputs[:, 1:]) + 0.5 * inputs[:, :1]
    return inputs, expected + torch.randn(num_samples, 1), expected


def test_untrained_it_changes_nothing() -> None:
    torch.manual_seed(0)
    inputs, advantages, _ = rollout()
    baseline = BaseActionBaseline(2, [32], torch.device("cpu"))
    torch.testing.assert_close(baseline.centre(inputs, standardized(advantages)), standardized(advantages))


def test_it_learns_what_state_and_base_action_explain_and_takes_it_out() -> None:
    torch.manual_seed(0)
    baseline = BaseActionBaseline(2, [64, 64], torch.device("cpu"))
    for _ in range(40):
        inputs, advantages, _ = rollout()
        last_loss = baseline.fit(inputs, standardized(advantages))

    inputs, advantages, expected = rollout()
    centred = baseline.centre(inputs, standardized(advantages))
    noise = standardized(advantages - expected)
    assert abs(centred.mean().item()) < 1e-5
    assert abs(centred.std().item() - 1.0) < 1e-4
    correlation = torch.corrcoef(torch.stack((centred[:, 0], noise[:, 0])))[0, 1]
    assert correlation > 0.97
    # What is left is the noise, whose share of the variance is known.
    share_of_noise = ((advantages - expected).var() / advantages.var()).item()
    assert abs(last_loss.item() - share_of_noise) < 0.1
