# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the objectives of GenPO, FPO, FPO++ and DPPO, each against NumPy or a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from rsl_dpcppo.algorithms.dppo.losses import denoising_clips, denoising_discounts
from rsl_dpcppo.algorithms.fpo.losses import noise_estimation_loss, velocity_errors
from rsl_dpcppo.algorithms.fpopp.losses import aspo_surrogate, clamped_log_ratio
from rsl_dpcppo.algorithms.genpo.losses import compression_loss
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.objective import clipped_surrogate, kl_estimate

BATCH, NUM_PAIRS, NUM_ACTIONS, CONTEXT_DIM = 5, 4, 3, 2


def test_compression_loss_is_the_mean_distance_of_the_halves() -> None:
    pair = torch.tensor([[0.0, 0.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    assert compression_loss(pair).item() == pytest.approx(2.5)


def test_velocity_errors_are_those_of_single_pairs() -> None:
    torch.manual_seed(0)
    velocity = VelocityField(CONTEXT_DIM, NUM_ACTIONS, [16], nn.ELU(), scale=0.25)
    context, actions = torch.randn(BATCH, CONTEXT_DIM), torch.randn(BATCH, NUM_ACTIONS)
    noise, time = torch.randn(BATCH, NUM_PAIRS, NUM_ACTIONS), torch.rand(BATCH, NUM_PAIRS, 1)
    errors = velocity_errors(velocity, context, actions, noise, time)
    for b in range(BATCH):
        for n in range(NUM_PAIRS):
            point = (1 - time[b, n]) * noise[b, n] + time[b, n] * actions[b]
            predicted = velocity(point[None], time[b, n : n + 1], velocity.embed(context[b : b + 1]))[0]
            torch.testing.assert_close(errors[b, n], predicted - actions[b] + noise[b, n])


def test_noise_estimation_loss_is_fpos() -> None:
    """FPO counts time from the action: x_t = t eps + (1 - t) a, u points from action to noise, x1 = x_t - t u + u."""
    rng = np.random.default_rng(0)
    actions, noise, u = rng.normal(size=(3, BATCH, NUM_ACTIONS))
    t = rng.uniform(size=(BATCH, 1))
    x_t = t * noise + (1 - t) * actions
    expected = ((noise - (x_t - t * u + u)) ** 2).mean(axis=-1)
    errors = torch.from_numpy(-u - (actions - noise))  # our velocity points from noise to action
    np.testing.assert_allclose(noise_estimation_loss(errors, torch.from_numpy(1 - t)).numpy(), expected, rtol=1e-12)


def test_kl_estimate_has_the_divergence_as_its_mean() -> None:
    torch.manual_seed(0)
    old, new = torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(0.3, 1.2)
    x = old.sample((400_000,))
    estimate = kl_estimate(new.log_prob(x) - old.log_prob(x)).item()
    assert estimate == pytest.approx(torch.distributions.kl_divergence(old, new).item(), abs=2e-3)
    assert all(kl_estimate(torch.tensor([value])).item() >= 0.0 for value in (-2.0, -0.1, 0.0, 0.1, 2.0))


def test_clamps_of_fpopp() -> None:
    old = torch.tensor([30.0, 5.0, 1.0, 25.0])
    new = torch.tensor([19.0, 1.0, 1.5, 40.0], requires_grad=True)
    log_ratio = clamped_log_ratio(old, new, clamp=20.0, log_ratio_clamp=3.0)
    assert log_ratio.tolist() == [1.0, 3.0, -0.5, 0.0]
    log_ratio.sum().backward()
    assert new.grad is not None
    # The gradient passes the clamp of the difference (second entry) and not that of the loss (last entry).
    assert new.grad.tolist() == [-1.0, -1.0, -1.0, 0.0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 2.0, -2.0),
        (1.2, 2.0, -2.1),  # clipped at 1.05
        (0.8, 2.0, -1.6),  # PPO's minimum does not clip below
        (1.0, -2.0, 2.0),
        (1.2, -2.0, 2.4 + 2.0 * 0.04 / 0.1),
        (0.8, -2.0, 1.6 + 2.0 * 0.04 / 0.1),
    ],
)
def test_aspo_by_hand(ratio: float, advantage: float, expected: float) -> None:
    loss = aspo_surrogate(torch.tensor([math.log(ratio)]), torch.tensor([advantage]), clip_param=0.05)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_aspo_draws_the_ratio_of_a_bad_action_back_to_its_trust_region() -> None:
    """For A < 0 the penalised objective is greatest at r = 1 - clip_param."""
    ratios = torch.linspace(0.7, 1.3, 601)
    losses = torch.stack([aspo_surrogate(r.log()[None], torch.tensor([-1.0]), 0.05) for r in ratios])
    assert ratios[losses.argmin()].item() == pytest.approx(0.95, abs=1e-3)


def test_denoising_discounts_and_clips() -> None:
    assert denoising_discounts(3, 0.9).tolist() == pytest.approx([0.81, 0.9, 1.0])
    clips = denoising_clips(4, 0.001, 0.01, 3.0).tolist()
    expected = [0.001 + 0.009 * (math.exp(3 * i / 3) - 1) / (math.exp(3) - 1) for i in range(4)]
    assert clips == pytest.approx(expected, rel=1e-5)
    assert denoising_clips(1, 0.001, 0.01, 3.0).tolist() == pytest.approx([0.01])


def test_clip_range_of_each_denoising_step() -> None:
    log_prob, advantages = torch.full((1, 2), math.log(2.0)), torch.ones(1, 1)
    loss = clipped_surrogate(log_prob, torch.zeros(1, 2), advantages, torch.tensor([0.1, 0.3]))
    assert loss.item() == pytest.approx(-(1.1 + 1.3) / 2)
