# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What PolicyFlow's objective has beside PPO's (arXiv 2602.01156)."""

from __future__ import annotations

from torch import Tensor


def brownian_loss(velocity: Tensor, old_velocity: Tensor, point: Tensor, time: Tensor) -> Tensor:
    """Return the mean square of (1 - t) v - (x_t - t v_old), PolicyFlow's Brownian regulariser.

    With the score (t v_old - x_t) / (1 - t) of the flow's marginals, it is zero where v is the negative score: the
    velocity that carries the marginals as Brownian motion would.

    Args:
        velocity: v at x_t. Shape: [batch, num_actions].
        old_velocity: v while the rollout was collected, at x_t. Shape: [batch, num_actions].
        point: x_t. Shape: [batch, num_actions].
        time: t. Shape: [batch, 1].

    Returns:
        Loss, averaged over the batch and the action. Shape: [].
    """
    return ((1.0 - time) * velocity - (point - time * old_velocity)).square().mean()
