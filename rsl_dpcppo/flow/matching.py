# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The flow-matching loss, by which a flow policy is fitted to samples."""

from __future__ import annotations

import torch
from torch import Tensor

from rsl_dpcppo.flow.velocity import VelocityField


def interpolate(noise: Tensor, target: Tensor, time: Tensor) -> Tensor:
    """Return a_t = (1 - t) a_n + t a_1, the straight path that flow matching learns from (below equation 12).

    Args:
        noise: a_n. Shape: [batch, num_actions].
        target: a_1. Shape: [batch, num_actions].
        time: t in [0, 1]. Shape: [batch, 1].
    """
    return (1.0 - time) * noise + time * target


def velocity_error(velocity: VelocityField, embedding: Tensor, target: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return u(a_t, t, s) - (a_1 - a_n), what the field misses the straight path's velocity by.

    Args:
        velocity: The field u.
        embedding: What ``velocity.embed`` returned for s. Shape: [batch, width].
        target: a_1. Shape: [batch, num_actions].
        noise: a_n. Shape: [batch, num_actions].
        time: t in [0, 1]. Shape: [batch, 1].

    Returns:
        Difference in actions. Shape: [batch, num_actions].
    """
    return velocity(interpolate(noise, target, time), time, embedding) - (target - noise)


def flow_matching_loss(velocity: VelocityField, context: Tensor, target: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return E[||u(a_t, t, s) - (a_1 - a_n)||^2], equation (12) of arXiv 2603.04790.

    Args:
        velocity: The field u to fit.
        context: s. Shape: [batch, context_dim].
        target: a_1, actions of the policy to imitate. Shape: [batch, num_actions].
        noise: a_n from N(0, I). Shape: [batch, num_actions].
        time: t from U(0, 1). Shape: [batch, 1].

    Returns:
        The squared norm, summed over the action and averaged over the batch, in squared actions. Shape: [].
    """
    return velocity_error(velocity, velocity.embed(context), target, noise, time).square().sum(dim=-1).mean()


def draw_noise_and_time(target: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a_n ~ N(0, I) of the target's shape and t ~ U(0, 1) of shape [batch, 1] for one step of the fit."""
    return torch.randn_like(target), torch.rand_like(target[:, :1])
