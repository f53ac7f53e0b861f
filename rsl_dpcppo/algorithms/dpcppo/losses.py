# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The term that DP-CPPO's objective has beside PPO's (:mod:`rsl_dpcppo.learning.objective`).

Equation numbers are those of arXiv 2603.04790. The kernel is N(a; mean, diag(std^2)) with mean = a0 + mu(a0, s),
equation (8).
"""

from __future__ import annotations

from torch import Tensor


def score_regularization(residual: Tensor, std: Tensor, base_action: Tensor) -> Tensor:
    """Return E[||mu(a0, s) - 1/2 Sigma (-a0)||^2], equation (15).

    It draws the kernel toward one Langevin step to the standard Gaussian, whose score at a0 is -a0. Its gradient
    reaches mu and Sigma.

    Args:
        residual: mu(a0, s). Shape: [..., num_actions].
        std: Standard deviation; Sigma is its square. Shape: [..., num_actions].
        base_action: a0. Shape: [..., num_actions].

    Returns:
        The squared norm, summed over the action and averaged over the batch, in squared actions. Shape: [].
    """
    return (residual + 0.5 * std.square() * base_action).square().sum(dim=-1).mean()
