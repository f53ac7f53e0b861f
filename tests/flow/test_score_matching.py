# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Reweighted score matching: its terms, and that what is fitted is the policy that it is to be."""

from __future__ import annotations

import math

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

MODES, TEMPERATURE = (-0.5, 0.4), 0.4
"""Where Q of the bandit is largest: the left one by less."""


def q_of(actions: Tensor) -> Tensor:
    """Return two peaks, of 1 and 1.4. Shape: [..., 1] -> [...]."""
    peaks = [height * (-((actions[..., 0] - m) / 0.2).square()).exp() for m, height in zip(MODES, (1.0, 1.4))]
    return peaks[0] + peaks[1]


def make_chain(start_scale: float = 1.0, num_steps: int = 20) -> DenoisingChain:
    velocity = VelocityField(1, 1, [64, 64], nn.Mish(), time_features=16, frequencies=(20.0, 0.0063))
    betas = linear_betas(num_steps, 0.8)
    return DenoisingChain(velocity, num_steps, 0.0, 20.0, 1.0, betas, start_scale, played_min_std=0.0)


def fit(chain: DenoisingChain, loss: nn.Module, steps: int) -> None:
    optimizer = torch.optim.Adam(chain.velocity.parameters(), lr=2e-3, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1.0 - step / steps)
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


@torch.no_grad()
def distance(chain: DenoisingChain, log_density: Tensor, grid: Tensor) -> float:
    """Return the total variation between a chain's samples and a density on a grid, in tenths of the box."""
    noise = torch.randn(4096, chain.noise_width)
    samples = chain(noise, torch.ones(4096, 1))[:, 0].clamp(-0.999, 0.999)
    density = log_density.softmax(dim=0).view(20, -1).sum(dim=1)
    found = torch.histc(samples, bins=20, min=-1.0, max=1.0) / 4096
    return 0.5 * (found - density).abs().sum().item()


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


def test_reverse_sampling_finds_the_boltzmann_policy() -> None:
    """SDAC on a bandit: samples are those of exp(Q / lambda) on a grid, with both modes in their shares."""
    torch.manual_seed(0)
    chain = make_chain()

    def loss() -> Tensor:
        step = chain.draw_step(256)
        noised = chain.noised(2.0 * torch.rand(256, 1) - 1.0, torch.randn(256, 1), step)
        point, ratio = chain.signal[step] * noised, chain.noise[step]
        noise = reverse_noise(point, ratio, 64, truncated=True)
        weights = (q_of(point.unsqueeze(1) - ratio.unsqueeze(1) * noise) / TEMPERATURE).softmax(dim=-1)
        estimate = chain.estimate(noised, step, chain.velocity.embed(torch.ones(256, 1)))
        return weighted_matching_loss(estimate, weighted_noise(noise, weights), torch.ones(256))

    fit(chain, loss, 900)
    found = distance(chain, q_of(grid()) / TEMPERATURE, grid())
    assert found < 0.1
    assert distance(chain, torch.zeros(1000), grid()) > 0.15


def test_weighted_candidates_make_a_step_of_mirror_descent() -> None:
    """DPMD on a bandit: fitted to K candidates of pi_old, with their weights, it is pi_old exp(Q / lambda)."""
    torch.manual_seed(0)
    chain = make_chain()
    number, states = 32, 32

    def old(*shape: int) -> Tensor:
        return (0.3 + 0.5 * torch.randn(*shape)).clamp(-1.0, 1.0)

    def loss() -> Tensor:
        actions = old(states, number, 1)
        weights = number * (q_of(actions) / TEMPERATURE).softmax(dim=-1)
        rows = actions.view(-1, 1)
        step, noise = chain.draw_step(len(rows)), torch.randn_like(rows)
        embedding = chain.velocity.embed(torch.ones(len(rows), 1))
        estimate = chain.estimate(chain.noised(rows, noise, step), step, embedding)
        return weighted_matching_loss(estimate, noise, weights.flatten())

    fit(chain, loss, 700)
    actions = old(200_000, 1)
    shares = torch.histogram(actions[:, 0], bins=1000, range=(-1.0, 1.0)).hist.clamp(min=1e-3)
    expected = shares.log() + q_of(grid()) / TEMPERATURE
    assert distance(chain, expected, grid()) < 0.1
    assert distance(chain, shares.log(), grid()) > 0.15
