# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of GenPO++'s flow: its inverse, its determinant and its density."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from invertible import CONTEXT_DIM, bent_field, check_change_of_variables
from torch import nn

from rsl_dpcppo.flow.reversible import ReversibleFlow


def make_flow(num_actions: int, num_steps: int, history: float = 0.75) -> ReversibleFlow:
    return ReversibleFlow(bent_field(num_actions), num_steps, history)


@pytest.mark.parametrize("num_steps", [1, 5, 12])
@pytest.mark.parametrize("history", [0.5, 0.75, 1.0])
def test_inverse_is_exact(num_steps: int, history: float) -> None:
    flow = make_flow(4, num_steps, history)
    noise, context = torch.randn(50, 8).double(), torch.randn(50, CONTEXT_DIM).double()
    with torch.no_grad():
        pair = flow.transport(noise, context)
        torch.testing.assert_close(flow.inverse(pair, context), noise, rtol=0.0, atol=1e-7)
    assert (pair - noise).abs().mean() > 0.1


def test_step_is_that_of_the_paper() -> None:
    flow, s = make_flow(2, 3), 0.75
    noise, context = torch.randn(7, 4).double(), torch.randn(7, CONTEXT_DIM).double()

    def velocity(x: np.ndarray, time: float) -> np.ndarray:
        embedding = flow.velocity.embed(context)
        return flow.velocity(torch.from_numpy(x), torch.tensor(time, dtype=torch.double), embedding).numpy()

    with torch.no_grad():
        x = [noise[:, 2:].numpy(), noise[:, :2].numpy()]
        for i in range(3):
            x.append((1 - s) * x[-1] + s * x[-2] + (1 + s) / 3 * velocity(x[-1], i / 3))
        np.testing.assert_allclose(flow.transport(noise, context).numpy(), np.hstack((x[-1], x[-2])), rtol=1e-12)
        np.testing.assert_allclose(flow(noise, context).numpy(), x[-1], rtol=1e-12)


def test_solver_follows_the_flow() -> None:
    """With many steps and both noises alike, the action is that of da = u dt: da/dt = -a halves within log 2."""

    class Decay(nn.Module):
        def embed(self, context: torch.Tensor) -> torch.Tensor:
            return context

        def forward(self, action: torch.Tensor, time: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
            return -math.log(2.0) * action

    flow = ReversibleFlow(Decay(), 2000, 0.75)  # type: ignore[arg-type]
    action = flow(torch.ones(1, 2).double(), torch.zeros(1, 1))
    assert action.item() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(("num_actions", "num_steps", "history"), [(1, 5, 0.75), (3, 4, 0.9), (2, 1, 0.5)])
def test_log_prob_is_that_of_the_change_of_variables(num_actions: int, num_steps: int, history: float) -> None:
    flow = make_flow(num_actions, num_steps, history)
    determinants = check_change_of_variables(flow, num_actions)
    expected = torch.full((5,), -num_steps * num_actions * math.log(history)).double()
    torch.testing.assert_close(determinants, expected, rtol=1e-6, atol=1e-6)
