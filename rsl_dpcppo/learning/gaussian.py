# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Gaussians that PPO improves: density, entropy and divergence, one pure function each.

Equation numbers are those of arXiv 2603.04790, whose kernel is such a Gaussian: N(a; mean, diag(std^2)) with mean =
a0 + mu(a0, s), equation (8).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor


class Gaussian(NamedTuple):
    """A Gaussian that PPO improves, on a mini-batch. Shape of each: [..., num_actions]."""

    value: Tensor
    """What was drawn from it."""
    mean: Tensor
    """Its mean now."""
    std: Tensor
    """Its standard deviation now."""
    old_mean: Tensor
    """Its mean while the rollout was collected."""
    old_std: Tensor
    """Its standard deviation then."""


def gaussian_log_prob(actions: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return log p(a | a0, s) of the kernel (8), summed over the action.

    Args:
        actions: a. Shape: [..., num_actions].
        mean: a0 + mu(a0, s). Shape: [..., num_actions].
        std: Standard deviation. Shape: [..., num_actions].

    Returns:
        Log density in nats. Shape: [...].
    """
    return (-0.5 * ((actions - mean) / std).square() - std.log() - 0.5 * math.log(2.0 * math.pi)).sum(dim=-1)


def gaussian_entropy(std: Tensor) -> Tensor:
    """Return H(p(a | a0, s)) of the kernel, the lower bound of the policy's entropy in equation (14).

    Args:
        std: Standard deviation. Shape: [..., num_actions].

    Returns:
        Entropy in nats. Shape: [...].
    """
    return (std.log() + 0.5 * math.log(2.0 * math.pi * math.e)).sum(dim=-1)


def gaussian_kl(old_mean: Tensor, old_std: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return KL(old || new) between two kernels around the same base action, which the adaptive rate watches.

    Args:
        old_mean: Mean while the rollout was collected. Shape: [..., num_actions].
        old_std: Standard deviation then. Shape: [..., num_actions].
        mean: Mean now. Shape: [..., num_actions].
        std: Standard deviation now. Shape: [..., num_actions].

    Returns:
        Divergence in nats. Shape: [...].
    """
    scaled = (old_std.square() + (old_mean - mean).square()) / (2.0 * std.square())
    return ((std / old_std).log() + scaled - 0.5).sum(dim=-1)
