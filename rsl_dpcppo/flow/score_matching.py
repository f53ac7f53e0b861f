# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Reweighted score matching (arXiv 2502.00361): a noise estimate is fitted to a policy that cannot be sampled.

The samples come from another policy, and each has a weight.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def weighted_matching_loss(estimate: Tensor, noise: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of w ||eps_theta - eps||^2 / d, the loss of both algorithms.

    Args:
        estimate: eps_theta at the noised actions. Shape: [batch, num_actions].
        noise: eps, the noise in them. Shape: [batch, num_actions].
        weights: w. Shape: [batch].

    Returns:
        Loss, averaged over the batch and the action. Shape: [].
    """
    return (weights * (estimate - noise).square().mean(dim=-1)).mean()


def weighted_noise(noise: Tensor, weights: Tensor) -> Tensor:
    """Return sum_k w_k eps_k, on which the regression has the gradient of the K weighted ones, at 1/K of their rows.

    For weights that sum to one, sum_k w_k ||e - eps_k||^2 = ||e - sum_k w_k eps_k||^2 + what does not depend on e.

    Args:
        noise: eps. Shape: [batch, num_draws, num_actions].
        weights: w, which sum to one. Shape: [batch, num_draws].
    """
    return (weights.unsqueeze(-1) * noise).sum(dim=1)


def weights_kl(weights: Tensor) -> Tensor:
    """Return KL(w || uniform) = log K + sum_k w_k log w_k in nats, averaged over the batch.

    Args:
        weights: w, which sum to one. Shape: [batch, num_draws].
    """
    entropy = -torch.xlogy(weights, weights).sum(dim=-1)
    return math.log(weights.shape[-1]) - entropy.mean()


def reverse_noise(point: Tensor, ratio: Tensor, num_draws: int, truncated: bool) -> Tensor:
    """Draw the noise eps of the reverse Gaussian a0 = m - c eps, with m = a_t / sqrt(abar) and c = sqrt(1/abar - 1).

    Args:
        point: m. Shape: [batch, num_actions].
        ratio: c. Shape: [batch, 1].
        num_draws: Number K of draws for each point.
        truncated: Whether to draw from the Gaussian within the box alone, so that a0 is in [-1, 1].

    Returns:
        eps. Shape: [batch, num_draws, num_actions].
    """
    shape = (len(point), num_draws, point.shape[-1])
    if not truncated:
        return torch.randn(shape, dtype=point.dtype, device=point.device)
    low, high = ((point - 1.0) / ratio).unsqueeze(1), ((point + 1.0) / ratio).unsqueeze(1)
    return truncated_normal(low, high, torch.rand(shape, dtype=point.dtype, device=point.device))


def truncated_normal(low: Tensor, high: Tensor, uniform: Tensor) -> Tensor:
    """Return what N(0, 1) within bounds makes of uniform numbers: its inverse distribution function.

    Args:
        low: Lower bounds.
        high: Upper bounds, of a shape that broadcasts.
        uniform: Numbers in [0, 1). Shape: [...].

    Returns:
        Numbers within the bounds. Shape: [...].
    """
    # In the upper tail the distribution function is 1 but for rounding; its mirror image is the lower tail.
    is_upper = low + high > 0.0
    start, end = torch.where(is_upper, -high, low), torch.where(is_upper, -low, high)
    below, above = torch.special.ndtr(start), torch.special.ndtr(end)
    drawn = torch.special.ndtri(torch.lerp(below, above, uniform))
    drawn = torch.maximum(torch.minimum(drawn, end), start)
    return torch.where(is_upper, -drawn, drawn)
