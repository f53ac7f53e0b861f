# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""FPO++'s ratio and objective."""

from __future__ import annotations

import torch
from torch import Tensor

from rsl_dpcppo.learning.objective import clipped_objective


def clamped_log_ratio(old_losses: Tensor, pair_losses: Tensor, clamp: float, log_ratio_clamp: float) -> Tensor:
    """Return L_old - L of each pair, with both losses and the difference clamped from above.

    The gradient passes the clamp of the difference as if it were not there.

    Args:
        old_losses: L_old. Any shape.
        pair_losses: L. The same shape.
        clamp: Largest loss.
        log_ratio_clamp: Largest difference.
    """
    log_ratio = old_losses.clamp(max=clamp) - pair_losses.clamp(max=clamp)
    return log_ratio + (log_ratio.clamp(max=log_ratio_clamp) - log_ratio).detach()


def aspo_surrogate(log_ratio: Tensor, advantages: Tensor, clip_param: float) -> Tensor:
    """Return the negative of the asymmetric objective: PPO's clipped one for A > 0, a penalised one otherwise.

    The penalty |A| (r - 1)^2 / (2 clip_param) draws r back wherever it leaves 1; PPO's clip only lets go of it.

    Args:
        log_ratio: log r. Shape: [...].
        advantages: A. Shape: [...], or what broadcasts to it.
        clip_param: Clip range, and the scale of the penalty.

    Returns:
        Loss, averaged over everything. Shape: [].
    """
    ratio = log_ratio.exp()
    clipped = clipped_objective(ratio, advantages, clip_param)
    penalised = ratio * advantages - advantages.abs() * (ratio - 1.0).square() / (2.0 * clip_param)
    return -torch.where(advantages > 0.0, clipped, penalised).mean()
