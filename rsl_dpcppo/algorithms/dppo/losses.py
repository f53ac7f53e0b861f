# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How DPPO weighs and clips the denoising steps."""

from __future__ import annotations

import torch
from torch import Tensor


def denoising_discounts(num_steps: int, discount: float) -> Tensor:
    """Return gamma^(K - 1 - i) for the denoising steps i = 0 to K - 1, the last of which acts. Shape: [num_steps]."""
    return discount ** torch.arange(num_steps - 1, -1, -1, dtype=torch.float32)


def denoising_clips(num_steps: int, first: float, last: float, growth: float) -> Tensor:
    """Return the clip range of each denoising step, which grows exponentially from the first to the last.

    Args:
        num_steps: Number K of steps.
        first: Clip range of step 0.
        last: Clip range of step K - 1.
        growth: Exponent of the growth.

    Returns:
        first + (last - first) (exp(growth i / (K - 1)) - 1) / (exp(growth) - 1). Shape: [num_steps].
    """
    share = torch.expm1(growth * torch.linspace(0.0, 1.0, num_steps)) / torch.expm1(torch.tensor(growth))
    return first + (last - first) * (share if num_steps > 1 else torch.ones(1))
