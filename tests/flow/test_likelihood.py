# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Densities of flows and entropies of mixtures, against Gaussians, whose are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from rsl_dpcppo.flow.likelihood import (
    divergence,
    flow_log_prob,
    mixture_entropy_bounds,
    sample_with_log_prob,
    trace_probes,
)
from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField


class AffineField(nn.Module):
    """u(a, t, s) = A a + s, which carries N(0, I) to a Gaussian: mean and covariance by the matrix exponential."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = matrix

    def embed(self, context: Tensor) -> Tensor:
        return context

    def forward(self, action: Tensor, time: Tensor, embedding: Tensor) -> Tensor:
        return action @ self.matrix.T + embedding

    def density(self, context: Tensor) -> MultivariateNormal:
        growth = torch.linalg.matrix_exp(self.matrix)
        mean = torch.linalg.solve(self.matrix, (growth - torch.eye(len(growth))) @ context.T).T
        return MultivariateNormal(mean, growth @ growth.T)


@pytest.fixture(autouse=True)
def _double() -> Any:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.double)
    yield
    torch.set_default_dtype(torch.float)


def affine_flow(num_actions: int, num_steps: int, solver: str = "midpoint") -> tuple[FlowSolver, AffineField]:
    field: Any = AffineField(0.4 * torch.randn(num_actions, num_actions) - 0.5 * torch.eye(num_actions))
    return FlowSolver(field, num_steps, solver), field


@pytest.mark.parametrize("solver", ["euler", "midpoint"])
def test_density_of_an_affine_flow_is_its_gaussian(solver: str) -> None:
    """Forward from the noise, and backward from given actions."""
    flow, field = affine_flow(3, 512, solver)
    context = torch.randn(16, 3)
    density = field.density(context)
    tolerance = {"rtol": 0.0, "atol": 0.1 if solver == "euler" else 1e-4}
    action, log_prob = sample_with_log_prob(flow, torch.randn(16, 3), context)
    torch.testing.assert_close(log_prob, density.log_prob(action), **tolerance)
    given = torch.randn(16, 3)
    torch.testing.assert_close(flow_log_prob(flow, given, context), density.log_prob(given), **tolerance)


def test_samples_are_those_of_the_flow() -> None:
    flow, _ = affine_flow(2, 5, "euler")
    noise, context = torch.randn(4, 2), torch.randn(4, 2)
    torch.testing.assert_close(sample_with_log_prob(flow, noise, context)[0], flow(noise, context))


def test_few_steps_follow_a_straight_path_that_narrows() -> None:
    """Flow matching's field from N(0, 1) to N(0, 0.3^2), with the paper's 16 Euler steps, which are exact on it."""

    class Narrowing(AffineField):
        def forward(self, action: Tensor, time: Tensor, embedding: Tensor) -> Tensor:
            return -0.7 * action / (1.0 - 0.7 * time)

    field: Any = Narrowing(torch.zeros(1, 1))
    action, log_prob = sample_with_log_prob(FlowSolver(field, 16), torch.randn(32, 1), torch.zeros(32, 1))
    expected = Normal(0.0, 0.3).log_prob(action).squeeze(-1)
    torch.testing.assert_close(log_prob, expected, rtol=0.0, atol=0.01)


def test_divergence_of_a_network_is_the_trace_of_its_jacobian() -> None:
    field = VelocityField(4, 3, [16, 16], nn.ELU())
    action, embedding, time = torch.randn(6, 3), field.embed(torch.randn(6, 4)), torch.tensor(0.3)
    jacobian: Any = torch.autograd.functional.jacobian(lambda a: field(a, time, embedding), action)
    expected = torch.einsum("bibi->b", jacobian)
    with torch.no_grad():
        exact = divergence(field, action, time, embedding, trace_probes(action))
        estimate = divergence(field, action, time, embedding, trace_probes(action, 4096))
    torch.testing.assert_close(exact, expected)
    torch.testing.assert_close(estimate, expected, rtol=0.0, atol=0.02)


def test_many_actions_are_estimated_and_few_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hutchinson's estimate has no bias: over many samples the entropy is the Gaussian's."""
    flow, field = affine_flow(9, 32)
    context = torch.zeros(512, 9)
    entropy = -sample_with_log_prob(flow, torch.randn(512, 9), context)[1].mean()
    exact = -sample_with_log_prob(flow, torch.randn(512, 9), context, num_probes=0)[1].mean()
    expected = field.density(context[:1]).entropy().item()
    assert exact.item() == pytest.approx(expected, abs=0.3)
    assert entropy.item() == pytest.approx(expected, abs=0.4)
    counted: list[int] = []
    monkeypatch.setattr(
        "rsl_dpcppo.flow.likelihood.divergence", lambda *x: counted.append(len(x[-1])) or torch.zeros(1)
    )
    for num_actions in (8, 9):
        sample_with_log_prob(affine_flow(num_actions, 1)[0], torch.randn(2, num_actions), torch.zeros(2, num_actions))
    assert counted == [8, 8, 4, 4]


def test_bounds_enclose_the_entropy_of_a_mixture_and_meet() -> None:
    """a0 ~ N(0, 2^2), a ~ N(a0, 0.5^2): the policy is N(0, 4.25), the kernel is not."""
    expected, kernel = Normal(0.0, math.sqrt(4.25)).entropy().item(), Normal(0.0, 0.5).entropy().item()
    gaps = []
    for num_samples in (1, 8, 256):
        base_action = 2.0 * torch.randn(65536 // num_samples**2 + 64, num_samples)
        action = base_action + 0.5 * torch.randn_like(base_action)
        log_probs = Normal(base_action.unsqueeze(1), 0.5).log_prob(action.unsqueeze(2))
        lower, upper = (bound.mean().item() for bound in mixture_entropy_bounds(log_probs))
        if num_samples == 1:
            assert lower == pytest.approx(kernel, abs=0.01)
            continue
        assert lower - 0.02 < expected < upper + 0.02
        gaps.append(upper - lower)
    assert gaps[1] < 0.1 < gaps[0]
