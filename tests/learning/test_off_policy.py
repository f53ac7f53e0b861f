# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The equations of the off-policy algorithms against independent calculations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rsl_dpcppo.algorithms.dpmd.losses import mirror_weights, normalized_q
from rsl_dpcppo.algorithms.sac.losses import squashed_log_prob, temperature_loss
from rsl_dpcppo.learning.candidates import choose, repeated
from rsl_dpcppo.learning.critics import TwinCritics, critic_loss, td_target
from rsl_dpcppo.learning.diffusion_learner import dual_temperature_loss, scheduled_temperature_loss
from rsl_dpcppo.learning.off_policy import descend

PUBLISHED = {50: 3.77, 100: 2.94, 200: 1.94, 300: 1.44, 400: 1.19, 500: 1.07, 700: 1.00, 1000: 0.98}
"""alpha by thousands of environment steps, of which five make a gradient step."""


def test_temperature_falls_as_published() -> None:
    log_temperature = nn.Parameter(torch.tensor(5.0).log())
    optimizer = torch.optim.Adam([log_temperature], lr=7e-3)
    found = {}
    for step in range(1, 1_000_000 // 5 // 250 + 1):
        descend(optimizer, scheduled_temperature_loss(log_temperature, 0.1, num_actions=6))
        if step * 250 * 5 // 1000 in PUBLISHED and step * 250 * 5 % 1000 == 0:
            found[step * 250 * 5 // 1000] = log_temperature.exp().item()
    assert found == pytest.approx(PUBLISHED, rel=0.01)


def test_dual_holds_the_divergence() -> None:
    torch.manual_seed(0)
    log_temperature = nn.Parameter(torch.tensor(0.0))
    optimizer = torch.optim.Adam([log_temperature], lr=0.02)
    q = 30.0 * torch.randn(256, 32)
    for _ in range(600):
        log_weights = (q / log_temperature.detach().exp()).log_softmax(dim=-1)
        kl = (log_weights.exp() * (log_weights + math.log(32.0))).sum(dim=-1).mean()
        descend(optimizer, dual_temperature_loss(log_temperature, kl, target=1.5))
    assert kl.item() == pytest.approx(1.5, abs=0.05)


def test_the_published_slip_makes_weights_equal_and_the_repair_does_not() -> None:
    torch.manual_seed(0)
    q, alpha = 100.0 + 10.0 * torch.randn(512), torch.tensor(1.5)
    mean, std = q.mean(), q.std(correction=0)
    slipped = mirror_weights(normalized_q(q, mean, std, has_slip=True), alpha)
    assert (slipped == math.exp(3.0 / 1.5)).all()
    repaired = mirror_weights(normalized_q(q, mean, std, has_slip=False), alpha)
    torch.testing.assert_close(repaired, (((q - mean) / std).clamp(-3, 3) / 1.5).exp())
    assert repaired.std() > 0.5


def test_density_of_the_squashed_gaussian() -> None:
    """It integrates to one over the box, in one dimension, and is torch's in several."""
    mean, std = torch.tensor([[0.7]]), torch.tensor([[0.6]])
    actions = ((torch.arange(20_000) + 0.5) / 10_000 - 1.0).unsqueeze(-1)
    density = squashed_log_prob(actions.double().atanh().float(), mean, std).exp()
    assert (density.sum() / 10_000).item() == pytest.approx(1.0, abs=1e-3)
    torch.manual_seed(0)
    before, mean, std = torch.randn(5, 3), torch.randn(5, 3), torch.rand(5, 3) + 0.1
    normal = torch.distributions.Normal(mean, std)
    squashed = torch.distributions.TransformedDistribution(normal, [torch.distributions.TanhTransform(cache_size=1)])
    expected = squashed.log_prob(squashed.transforms[0](before)).sum(dim=-1)
    torch.testing.assert_close(squashed_log_prob(before, mean, std), expected, rtol=1e-4, atol=1e-4)


def test_temperature_rises_where_the_entropy_is_too_low() -> None:
    log_temperature = nn.Parameter(torch.tensor(0.0))
    for log_prob, sign in ((3.0, -1.0), (-3.0, 1.0)):  # an entropy of -3 and of 3, where 0 is asked for
        (gradient,) = torch.autograd.grad(
            temperature_loss(log_temperature, torch.full((4,), log_prob), 0.0), log_temperature
        )
        assert gradient.sign().item() == sign


def test_targets_of_the_critics() -> None:
    target = td_target(torch.tensor([1.0, 2.0]), torch.tensor([0.9, 0.0]), torch.tensor([10.0, 10.0]), reward_scale=0.5)
    assert target.tolist() == pytest.approx([9.5, 1.0])
    values = torch.tensor([[9.5, 2.0], [10.5, 1.0]])
    assert critic_loss(values, target).item() == pytest.approx(0.5 * 1.0 + 0.5 * 1.0)
    critics = TwinCritics(3, 2, [8, 8], "relu", layer_norm=True)
    context, action = torch.randn(5, 3), torch.randn(5, 2)
    both = critics(context, action)
    assert both.shape == (2, 5)
    assert not torch.equal(both[0], both[1])
    assert torch.equal(critics.minimum(context, action), both.min(dim=0).values)
    several = torch.randn(len(context), 5, 2)
    one_by_one = torch.stack([critics.minimum(context, several[:, i]) for i in range(5)], dim=1)
    torch.testing.assert_close(critics.minimum_of_several(context, several), one_by_one)


def test_the_best_candidate_is_taken() -> None:
    actions, values = torch.arange(12.0).view(2, 3, 2), torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 5.0]])
    assert choose(actions, values).tolist() == [[2.0, 3.0], [6.0, 7.0]]
    assert repeated(torch.tensor([[1.0], [2.0]]), 2).flatten().tolist() == [1.0, 1.0, 2.0, 2.0]
