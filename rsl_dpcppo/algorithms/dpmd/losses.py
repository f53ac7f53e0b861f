# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How DPMD weighs the chosen actions of a batch (arXiv 2502.00361)."""

from __future__ import annotations

from torch import Tensor

LARGEST_Z = 3.0
"""Where the normalised Q is clipped."""


def normalized_q(values: Tensor, mean: Tensor, std: Tensor, has_slip: bool) -> Tensor:
    """Return z = (Q - m) / v, or the z = Q - m / v of the authors' code, a slip of precedence.

    Args:
        values: Q. Shape: [batch].
        mean: m, running mean of Q. Shape: [].
        std: v, running standard deviation. Shape: [].
        has_slip: Whether to divide the mean alone.
    """
    return values - mean / std if has_slip else (values - mean) / std


def mirror_weights(normalized: Tensor, temperature: Tensor) -> Tensor:
    """Return w = exp(clip(z, -3, 3) / alpha).

    Args:
        normalized: z. Shape: [batch].
        temperature: alpha. Shape: [].
    """
    return (normalized.clamp(-LARGEST_Z, LARGEST_Z) / temperature).exp()
