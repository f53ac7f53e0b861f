# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the solver that carries noise to actions."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField


class LinearField(nn.Module):
    """u(a, t, s) = -a + t + s, whose flow and whose solver steps have closed forms. Counts its calls.

    With b = a - t + 1 - s, the equation is db/dt = -b.
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_embeddings = 0
        self.times: list[float] = []

    def embed(self, context: Tensor) -> Tensor:
        self.num_embeddings += 1
        return context

    def forward(self, action: Tensor, time: Tensor, embedding: Tensor) -> Tensor:
        self.times.append(time.item())
        return -action + time + embedding


def make_sampler(num_steps: int, solver: str = "euler") -> tuple[FlowSolver, LinearField]:
    field: Any = LinearField()
    return FlowSolver(field, num_steps, solver), field


def decay_of_one_step(solver: str, step_size: float) -> float:
    """Return what one step multiplies b with: the Taylor series of exp(-step_size), as far as the solver has it."""
    return 1.0 - step_size + (0.5 * step_size**2 if solver == "midpoint" else 0.0)


NOISE = torch.tensor([[-2.0, 0.5], [0.0, 3.0], [1.5, -0.25]], dtype=torch.double)
CONTEXT = torch.tensor([[0.0, 0.0], [0.7, -0.4], [-1.0, 2.0]], dtype=torch.double)


@pytest.mark.parametrize("solver", ["euler", "midpoint"])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 16, 32])
def test_equals_the_closed_form_of_the_solver(solver: str, num_steps: int) -> None:
    sampler, _ = make_sampler(num_steps, solver)
    start = NOISE.numpy() + 1.0 - CONTEXT.numpy()
    expected = start * decay_of_one_step(solver, 1.0 / num_steps) ** num_steps + CONTEXT.numpy()
    np.testing.assert_allclose(sampler(NOISE, CONTEXT).numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2)])
def test_converges_to_the_exact_solution_at_the_order_of_the_solver(solver: str, order: int) -> None:
    exact = (NOISE + 1.0 - CONTEXT) * math.exp(-1.0) + CONTEXT
    errors = [(make_sampler(steps, solver)[0](NOISE, CONTEXT) - exact).abs().max().item() for steps in (32, 64, 128)]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize(
    ("solver", "times"),
    [("euler", [0.0, 0.25, 0.5, 0.75]), ("midpoint", [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875])],
)
def test_evaluates_the_field_from_noise_to_action_and_embeds_the_context_once(solver: str, times: list[float]) -> None:
    sampler, field = make_sampler(4, solver)
    sampler(NOISE, CONTEXT)
    assert field.num_embeddings == 1
    assert field.times == times


def test_number_of_steps_can_be_changed_at_any_time() -> None:
    sampler, field = make_sampler(16)
    sampler(NOISE, CONTEXT)
    field.times.clear()
    sampler.num_steps = 5
    changed = sampler(NOISE, CONTEXT)
    assert len(field.times) == 5
    torch.testing.assert_close(changed, make_sampler(5)[0](NOISE, CONTEXT), rtol=0.0, atol=0.0)


def test_network_follows_euler_steps_of_its_own_velocity() -> None:
    """Through the real field: the same path as explicit steps that give the network its full input every time."""
    torch.manual_seed(0)
    field = VelocityField(4, 2, [16, 16], nn.Tanh())
    noise, context = torch.randn(6, 2), torch.randn(6, 4)
    action = noise.clone()
    for step in range(8):
        time = torch.full((6, 1), step / 8.0)
        hidden = field.input_layer(torch.cat((context, action, time), dim=-1))
        action = action + field.trunk(hidden) / 8.0
    torch.testing.assert_close(FlowSolver(field, 8)(noise, context), action)
