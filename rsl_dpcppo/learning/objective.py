# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The terms of PPO's objective, one pure function each. Equation numbers are those of arXiv 2603.04790."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_RATE = 1e-2
"""Step size that RSL-RL's rule does not exceed."""


def clipped_objective(ratio: Tensor, advantages: Tensor, clip_param: float | Tensor) -> Tensor:
    """Return PPO's min(r A, clip(r) A) of each sample.

    Args:
        ratio: r. Shape: [...].
        advantages: A, or what broadcasts to it. Shape: [...].
        clip_param: Clip range of the ratio; a tensor is one for each entry of the last axis.

    Returns:
        Objective. Shape: [...].
    """
    clipped_ratio = ratio.clamp(1.0 - clip_param, 1.0 + clip_param)  # type: ignore[arg-type]
    return torch.min(ratio * advantages, clipped_ratio * advantages)


def clipped_surrogate(log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, clip_param: float | Tensor) -> Tensor:
    """Return the negative of the clipped surrogate objective, equation (11).

    Args:
        log_prob: log p(a | a0, s) now, or log pi(a | s). Shape: [...].
        old_log_prob: The same while the rollout was collected. Shape: [...].
        advantages: A(s, a). Shape: [...].
        clip_param: Clip range of the ratio; see :func:`clipped_objective`.

    Returns:
        Loss, averaged over the batch. Shape: [].
    """
    return -clipped_objective((log_prob - old_log_prob).exp(), advantages, clip_param).mean()


def kl_estimate(log_ratio: Tensor) -> Tensor:
    """Return E[r - 1 - log r], which estimates KL(old || new) from samples of the old policy and is never negative.

    Args:
        log_ratio: log r = log p_new - log p_old. Shape: [...].

    Returns:
        Estimate in nats, averaged over everything. Shape: [].
    """
    return (log_ratio.exp() - 1.0 - log_ratio).mean()


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip_param: float | None) -> Tensor:
    """Return the squared error of the value function, clipped as in PPO if a clip range is given.

    Args:
        values: V(s) now. Shape: [...].
        old_values: V(s) while the rollout was collected. Shape: [...].
        returns: Targets. Shape: [...].
        clip_param: Largest change of the value that lowers the loss; None for no clipping.

    Returns:
        Loss, averaged over the batch. Shape: [].
    """
    error = (values - returns).square()
    if clip_param is not None:
        clipped = old_values + (values - old_values).clamp(-clip_param, clip_param)
        error = torch.max(error, (clipped - returns).square())
    return error.mean()


def adapted_learning_rate(
    learning_rate: Tensor, kl: Tensor, desired_kl: float, largest_rate: float = LARGEST_RATE
) -> Tensor:
    """Return RSL-RL's KL-adaptive step size: 1.5 times smaller above twice the desired KL, larger below half of it.

    Computed on the device, so that an update does not wait for the divergence. A divergence of zero or below, which
    rounding can give, changes nothing.

    Args:
        learning_rate: Present step size. Shape: [].
        kl: Mean divergence of the mini-batch. Shape: [].
        desired_kl: The divergence aimed at.
        largest_rate: What it is not raised above.
    """
    smaller = (learning_rate / 1.5).clamp(min=1e-5)
    larger = (learning_rate * 1.5).clamp(max=largest_rate)
    raised = torch.where((kl < desired_kl / 2.0) & (kl > 0.0), larger, learning_rate)
    return torch.where(kl > desired_kl * 2.0, smaller, raised)


def standardized(advantages: Tensor) -> Tensor:
    """Return advantages with mean 0 and standard deviation 1, as RSL-RL does. Any shape."""
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)
