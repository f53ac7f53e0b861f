# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PolicyFlow's ratio and regulariser against closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from agents import agent_dict, collect, make_runner, small_peer
from torch.distributions import Independent, Normal, kl_divergence

from rsl_dpcppo.algorithms.policyflow.losses import brownian_loss
from rsl_dpcppo.flow.noisy import NoisyFlow
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv


def test_brownian_loss_is_zero_at_the_negative_score() -> None:
    """The marginals of standard noise and standard actions on straight lines are Gaussians: their score is known."""
    torch.manual_seed(0)
    time = torch.rand(64, 1)
    variance = (1.0 - time).square() + time.square()
    point = variance.sqrt() * torch.randn(64, 2)
    old_velocity = (2.0 * time - 1.0) / variance * point  # E[a - n | x_t]
    score = -point / variance
    torch.testing.assert_close((time * old_velocity - point) / (1.0 - time), score, rtol=1e-3, atol=1e-4)
    assert brownian_loss(-score, old_velocity, point, time).item() == pytest.approx(0.0, abs=1e-9)
    expected = ((1.0 - time) * 0.3).square().mean().item()
    assert brownian_loss(-score + 0.3, old_velocity, point, time).item() == pytest.approx(expected, rel=1e-3)


def test_the_policy_is_a_flow_and_noise() -> None:
    torch.manual_seed(0)
    flow = NoisyFlow(VelocityField(3, 2, [8], torch.nn.ELU()), num_steps=4, init_std=0.5)
    noise, context = torch.randn(5, 4), torch.randn(5, 3)
    torch.testing.assert_close(flow(noise, context), flow.transport(noise[:, :2], context) + 0.5 * noise[:, 2:])


def test_ratio_and_divergence_are_those_of_gaussians_moved_by_the_change_of_velocity(monkeypatch: Any) -> None:
    torch.manual_seed(0)
    runner = make_runner(
        MultiGoalEnv(32, seed=0), agent_dict(small_peer("policyflow", normalize_advantage_per_mini_batch=False))
    )
    collect(runner)
    learner = runner.alg.learner
    batch = learner.prepare(next(iter(learner.host.mini_batches(1, 1))))
    policy, played = learner.policy, learner.policy.head.flow
    with torch.no_grad():  # as if it had learned
        for parameter in policy.live.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    time = torch.rand_like(batch.stored[:, :1])
    monkeypatch.setattr(learner, "_draw_time", lambda like: time)

    losses, divergence = learner.losses(batch)

    with torch.no_grad():
        context, (start, end) = learner.host.context(batch.observations), batch.stored.chunk(2, dim=-1)
        torch.testing.assert_close(played.transport(start, context), end)
        point = (1.0 - time) * start + time * end
        new, old = (x.velocity(point, time, x.velocity.embed(context)) for x in (policy.live, played))
        now = Independent(Normal(end + new - old, policy.live.log_std.exp()), 1)
        then = Independent(Normal(end, played.log_std.exp().expand_as(end)), 1)
        ratio = (now.log_prob(batch.actions) - then.log_prob(batch.actions)).exp()
        clipped = ratio.clamp(0.8, 1.2)
        expected = -torch.min(ratio * batch.advantages, clipped * batch.advantages).mean()
    assert ratio.std() > 0.05
    torch.testing.assert_close(losses["surrogate"], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(divergence, kl_divergence(then, now).mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses["entropy"], now.entropy().mean())


def test_times_are_those_of_the_solver() -> None:
    runner = make_runner(MultiGoalEnv(4, seed=0), agent_dict(small_peer("policyflow")))
    times = runner.alg.learner._draw_time(torch.empty(4000, 1))
    assert times.unique().tolist() == [i / 8 for i in range(9)]
