# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Reweighted score matching: its terms, and that what is fitted is the policy that it is to be."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.diffusion import DenoisingChain, linear_betas
from rsl_dpcppo.flow.score_matching import (
    reverse_noise,
    truncated_normal,
    weighted_matching_loss,
    weighted_noise,
    weights_kl,
)
from rsl_dpcppo.flow.velocity import VelocityField

MODES, TEMPERATURE = (-0.55, 0.5), 0.4
"""Where Q of the bandit is largest: on the left by less."""


def q_of(actions: Tensor) -> Tensor:
    """Return two peaks, of 1 and 1.4. Shape: [..., 1] -> [...]."""
    return sum(
        height * (-((actions[..., 0] - mode) / 0.3).square()).exp()
        for mode, height in zip(MODES, (1.0, 1.2), strict=True)
    )


def make_chain(start_scale: float = 1.0, num_steps: int = 20) -> DenoisingChain:
    velocity = VelocityField(1, 1, [64, 64], nn.Mish(), time_features=16, frequencies=(20.0, 0.0063))
    betas = linear_betas(num_steps, 0.8)
    return DenoisingChain(velocity, num_steps, 0.0, 20.0, 1.0, betas, start_scale, played_min_std=0.0)


def fit(chain: DenoisingChain, loss: Callable[[], Tensor], steps: int) -> None:
    optimizer = torch.optim.Adam(chain.velocity.parameters(), lr=0.02, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.02 * (1.0 - step / steps)
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


@torch.no_grad()
def histogram(chain: DenoisingChain) -> Tensor:
    """Return the shares of a chain's samples in each tenth of the action. Shape: [20]."""
    samples = chain(torch.randn(4096, chain.noise_width), torch.ones(4096, 1))[:, 0]
    return torch.histc(samples.clamp(-0.999, 0.999), bins=20, min=-1.0, max=1.0) / 4096


def shares(log_density: Tensor) -> Tensor:
    """Return the same of a density on the grid. Shape: [20]."""
    return log_density.softmax(dim=0).view(20, -1).sum(dim=1)


def distance(found: Tensor, expected: Tensor) -> float:
    """Return the total variation between two distributions."""
    return 0.5 * (found - expected).abs().sum().item()


def grid() -> Tensor:
    return ((torch.arange(1000) + 0.5) / 500 - 1.0).unsqueeze(-1)


def test_schedule_is_the_published_one() -> None:
    chain = make_chain()
    kept = chain.kept.double().square()
    expected = torch.tensor([0.99992, 0.63740, 0.10943, 3.142e-3, 5.268e-6], dtype=torch.double)
    torch.testing.assert_close(kept[[0, 4, 9, 14, 19]], expected, rtol=2e-4, atol=0)
    ratios = torch.tensor([0.0089, 0.754, 2.853, 17.8, 436.0])
    torch.testing.assert_close(chain.noise[[0, 4, 9, 14, 19]], ratios, rtol=6e-3, atol=0)
    assert (chain.std[0], chain.played_std[0]) == (0.0, 0.0)


def test_weighted_mean_has_the_gradient_of_the_weighted_sum() -> None:
    torch.manual_seed(0)
    estimate = torch.randn(16, 3, requires_grad=True)
    noise, weights = torch.randn(16, 64, 3), torch.randn(16, 64).softmax(dim=-1)
    rows = estimate.unsqueeze(1).expand(-1, 64, -1).reshape(-1, 3)
    each = 64 * weighted_matching_loss(rows, noise.reshape(-1, 3), weights.flatten())
    mean = weighted_matching_loss(estimate, weighted_noise(noise, weights), torch.ones(16))
    expected, found = (torch.autograd.grad(loss, estimate)[0] for loss in (each, mean))
    torch.testing.assert_close(found, expected)


def test_truncated_draws_are_within_the_box_and_distributed_as_they_should_be() -> None:
    torch.manual_seed(0)
    low, high = torch.tensor([-1.0, 0.5, 5.0, -30.0, 22.0, -436.0]), torch.tensor([0.3, 2.0, 9.0, -25.0, 247.0, 436.0])
    drawn = truncated_normal(low, high, torch.rand(100_000, 6))
    assert drawn.isfinite().all()
    assert (drawn >= low).all()
    assert (drawn <= high).all()
    normal = torch.distributions.Normal(0.0, 1.0)
    near = [0, 1, 5]
    mass = normal.cdf(high[near].double()) - normal.cdf(low[near].double())
    density = normal.log_prob(low[near].double()).exp() - normal.log_prob(high[near].double()).exp()
    torch.testing.assert_close(drawn[:, near].double().mean(dim=0), density / mass, rtol=0, atol=0.01)
    assert drawn[:, 2].mean().item() == pytest.approx(5.187, abs=0.01)  # the mean beyond 5 deviations


@pytest.mark.parametrize("truncated", [True, False])
def test_weights_are_finite_at_every_noise_level(truncated: bool) -> None:
    """At the last one a reverse draw is as wide as 436 boxes."""
    torch.manual_seed(0)
    chain = make_chain()
    step = torch.arange(20).repeat_interleave(200).unsqueeze(-1)
    noised = chain.noised(2.0 * torch.rand(4000, 1) - 1.0, torch.randn(4000, 1), step)
    point, ratio = chain.signal[step] * noised, chain.noise[step]
    noise = reverse_noise(point, ratio, 64, truncated)
    actions = point.unsqueeze(1) - ratio.unsqueeze(1) * noise
    weights = (q_of(actions.clamp(-1.0, 1.0)) / 0.01).softmax(dim=-1)
    assert weights.isfinite().all()
    assert weighted_noise(noise, weights).isfinite().all()
    outside = (actions.abs() > 1.001).float().view(20, -1).mean(dim=1)
    assert outside.max() == 0.0 if truncated else outside[-1] > 0.9


def test_divergence_of_weights() -> None:
    assert weights_kl(torch.full((3, 8), 0.125)).item() == pytest.approx(0.0, abs=1e-6)
    assert weights_kl(torch.eye(8)).item() == pytest.approx(math.log(8.0))


def weighed(chain: DenoisingChain, noised: Tensor, step: Tensor, number: int, truncated: bool) -> Tensor:
    """Return SDAC's weighted mean of the noise in noised actions. Shape: [batch, 1]."""
    point, ratio = chain.signal[step] * noised, chain.noise[step]
    noise = reverse_noise(point, ratio, number, truncated)
    actions = point.unsqueeze(1) - ratio.unsqueeze(1) * noise
    return weighted_noise(noise, (q_of(actions.clamp(-1.0, 1.0)) / TEMPERATURE).softmax(dim=-1))


class Exact(nn.Module):
    """What the noise estimate is fitted to, from many draws."""

    num_actions = 1

    def __init__(self, chain: DenoisingChain) -> None:
        super().__init__()
        self.chain = [chain]

    def embed(self, context: Tensor) -> Tensor:
        return context

    def forward(self, action: Tensor, time: Tensor, _: Tensor) -> Tensor:
        return weighed(self.chain[0], action, (20 * time).round().long(), 128, truncated=True)


def test_reverse_draws_lead_to_the_boltzmann_policy() -> None:
    """SDAC's regression target, in the place of the fitted network: what is left is the sampler's own error."""
    torch.manual_seed(0)
    chain = make_chain()
    chain.velocity = Exact(chain)
    expected = shares(q_of(grid()) / TEMPERATURE)
    assert distance(histogram(chain), expected) < 0.18
    assert distance(torch.full((20,), 0.05), expected) > 0.3


def test_sdac_on_a_bandit_finds_the_boltzmann_policy() -> None:
    """Samples of the fitted chain are those of exp(Q / lambda) on a grid, with both modes in their shares."""
    torch.manual_seed(0)
    chain = make_chain()

    def loss() -> Tensor:
        step = chain.draw_step(256)
        noised = chain.noised(2.0 * torch.rand(256, 1) - 1.0, torch.randn(256, 1), step)
        target = weighed(chain, noised, step, 32, truncated=True)
        estimate = chain.estimate(noised, step, chain.velocity.embed(torch.ones(256, 1)))
        return weighted_matching_loss(estimate, target, torch.ones(256))

    fit(chain, loss, 1500)
    found, expected = histogram(chain), shares(q_of(grid()) / TEMPERATURE)
    assert distance(found, expected) < 0.19
    assert found[:10].sum().item() == pytest.approx(expected[:10].sum().item(), abs=0.1)
    assert found[9:11].sum() < 0.6 * found[3:5].sum()  # a valley between the modes


def test_dpmd_on_a_bandit_makes_a_step_of_mirror_descent() -> None:
    """Fitted to K candidates of pi_old, with their weights, the chain is pi_old exp(Q / lambda)."""
    torch.manual_seed(0)
    chain = make_chain()
    number, states = 32, 16

    def old(rows: int) -> Tensor:
        return 0.3 + 0.5 * truncated_normal(torch.tensor(-2.6), torch.tensor(1.4), torch.rand(rows, 1))

    def loss() -> Tensor:
        rows = old(number * states)
        weights = number * (q_of(rows).view(states, number) / TEMPERATURE).softmax(dim=-1)
        step, noise = chain.draw_step(len(rows)), torch.randn_like(rows)
        embedding = chain.velocity.embed(torch.ones(len(rows), 1))
        estimate = chain.estimate(chain.noised(rows, noise, step), step, embedding)
        return weighted_matching_loss(estimate, noise, weights.flatten())

    fit(chain, loss, 1500)
    log_old = -0.5 * ((grid()[:, 0] - 0.3) / 0.5).square()
    found, expected = histogram(chain), shares(log_old + q_of(grid()) / TEMPERATURE)
    assert distance(found, expected) < 0.22
    assert distance(shares(log_old), expected) > 0.2
    assert found[:10].sum().item() == pytest.approx(expected[:10].sum().item(), abs=0.1)
