# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Averaged weights."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def update_ema(ema: nn.Module, live: nn.Module, decay: float) -> None:
    """Move the averaged weights toward the live ones: ema <- decay ema + (1 - decay) live (section 3.2)."""
    get_ema_multi_avg_fn(decay)(list(ema.parameters()), list(live.parameters()), 0)  # type: ignore[no-untyped-call]


def ema_horizon(decay: float, steps_per_iteration: int) -> float:
    """Return how many iterations the averaged weights look back: 1 / ((1 - decay) steps_per_iteration)."""
    return 1.0 / ((1.0 - decay) * steps_per_iteration)
