# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What FPO's probability ratio is made of."""

from __future__ import annotations

from torch import Tensor

from rsl_dpcppo.flow.matching import velocity_error
from rsl_dpcppo.flow.velocity import VelocityField


def velocity_errors(velocity: VelocityField, context: Tensor, actions: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return u(a_t, t, s) - (a - eps) at several pairs of noise and time for each action.

    Args:
        velocity: The field u.
        context: s. Shape: [batch, context_dim].
        actions: a, before it is squashed. Shape: [batch, num_actions].
        noise: eps. Shape: [batch, num_pairs, num_actions].
        time: t, 0 at the noise and 1 at the action. Shape: [batch, num_pairs, 1].

    Returns:
        Difference in actions. Shape: [batch, num_pairs, num_actions].
    """
    embedding = velocity.embed(context).repeat_interleave(noise.shape[1], dim=0)
    target = actions.repeat_interleave(noise.shape[1], dim=0)
    return velocity_error(velocity, embedding, target, noise.flatten(0, 1), time.flatten(0, 1)).view_as(noise)


def noise_estimation_loss(errors: Tensor, time: Tensor) -> Tensor:
    """Return FPO's loss of each pair: the squared error of the noise that the velocity implies, over the action.

    From a_t and u follows the estimate a_t - t u of the noise, which misses it by -t times the velocity's error.

    Args:
        errors: What :func:`velocity_errors` returned. Shape: [..., num_actions].
        time: t. Shape: [..., 1].

    Returns:
        Mean over the action, in squared actions. Shape: [...].
    """
    return (time * errors).square().mean(dim=-1)
