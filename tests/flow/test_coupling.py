# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of GenPO's flow: its inverse, its determinant and its density."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from invertible import CONTEXT_DIM, bent_field, check_change_of_variables

from rsl_dpcppo.flow.coupling import CouplingFlow


def make_flow(num_actions: int, num_steps: int, mix: float, time_features: int = 4) -> CouplingFlow:
    return CouplingFlow(bent_field(num_actions, time_features), num_steps, mix)


@pytest.mark.parametrize("num_steps", [1, 5, 12])
@pytest.mark.parametrize("mix", [0.5, 0.9, 0.95])
def test_inverse_is_exact(num_steps: int, mix: float) -> None:
    flow = make_flow(4, num_steps, mix)
    noise, context = torch.randn(50, 8).double(), torch.randn(50, CONTEXT_DIM).double()
    with torch.no_grad():
        pair = flow.transport(noise, context)
        torch.testing.assert_close(flow.inverse(pair, context), noise, rtol=0.0, atol=1e-7)
        torch.testing.assert_close(flow.transport(flow.inverse(noise, context), context), noise, rtol=0.0, atol=1e-7)
    assert (pair - noise).abs().mean() > 0.1


def test_step_is_that_of_the_paper() -> None:
    flow, mix = make_flow(2, 2, 0.9), 0.9
    noise, context = torch.randn(7, 4).double(), torch.randn(7, CONTEXT_DIM).double()

    def velocity(half: np.ndarray, time: float) -> np.ndarray:
        embedding = flow.velocity.embed(context)
        return flow.velocity(torch.from_numpy(half), torch.tensor(time).double(), embedding).numpy()

    with torch.no_grad():
        z, y = noise[:, :2].numpy(), noise[:, 2:].numpy()
        for i in range(2):
            z_moved = z + velocity(y, i / 2) * 0.5
            y_moved = y + velocity(z_moved, i / 2) * 0.5
            z = mix * z_moved + (1 - mix) * y_moved
            y = mix * y_moved + (1 - mix) * z
        pair = flow.transport(noise, context).numpy()
        np.testing.assert_allclose(pair, np.concatenate((z, y), axis=1), rtol=1e-12)
        np.testing.assert_allclose(flow(noise, context).numpy(), (z + y) / 2, rtol=1e-12)


@pytest.mark.parametrize(("num_actions", "num_steps", "mix"), [(1, 5, 0.9), (3, 4, 0.95), (2, 1, 0.5)])
def test_log_prob_is_that_of_the_change_of_variables(num_actions: int, num_steps: int, mix: float) -> None:
    flow = make_flow(num_actions, num_steps, mix)
    determinants = check_change_of_variables(flow, num_actions)
    expected = torch.full((5,), -2.0 * num_steps * num_actions * math.log(mix)).double()
    torch.testing.assert_close(determinants, expected, rtol=1e-6, atol=1e-6)


def test_density_of_the_doubled_action_integrates_to_one() -> None:
    flow = make_flow(1, 5, 0.9)
    axis = torch.linspace(-12.0, 12.0, 601).double()
    pairs = torch.cartesian_prod(axis, axis)
    context = torch.randn(1, CONTEXT_DIM).double().expand(len(pairs), -1)
    with torch.no_grad():
        density = flow.log_prob(flow.inverse(pairs, context)).exp()
    assert (density.sum() * (axis[1] - axis[0]) ** 2).item() == pytest.approx(1.0, abs=1e-4)
