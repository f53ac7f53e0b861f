# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What an optimizer writes is finite, and what it reads fits its weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from rsl_dpcppo.errors import CheckpointError, NonFiniteError


def guard_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Let an optimizer refuse to be saved with weights that are not finite, and to load what does not fit.

    RSL-RL saves and loads through these two methods in every version, whoever's runner it is.
    """
    optimizer.register_state_dict_post_hook(_check_weights)
    optimizer.register_load_state_dict_pre_hook(check_optimizer_state)


def weights_are_finite(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether all weights that an optimizer trains are finite numbers. Waits for the device."""
    finite = [weight.detach().isfinite().all() for group in optimizer.param_groups for weight in group["params"]]
    return not finite or bool(torch.stack(finite).all())


def _check_weights(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Raise unless all weights are finite. A gradient that is not shows in no loss if it came in the last step."""
    if not weights_are_finite(optimizer):
        raise NonFiniteError(
            "Weights are not finite after this update: a gradient was not. No checkpoint is written; the last one is "
            "from before it. A lower learning_rate or max_grad_norm often helps."
        )


def check_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Compare a saved state with the weights that it is for: PyTorch does not, and its fused kernels overrun memory.

    Args:
        optimizer: Who is to load it.
        state: What ``state_dict`` returned.

    Raises:
        CheckpointError: If it does not fit; says what.
    """
    try:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        numbers = [number for group in state["param_groups"] for number in group["params"]]
        for group in state["param_groups"]:
            _check_rate(group["lr"])
        for number, weight in zip(numbers, weights, strict=False):  # PyTorch compares how many there are
            for name, value in state["state"].get(number, {}).items():
                _check_entry(f"{name} of weight {number}", value, weight)
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"The checkpoint's optimizer state is none of PyTorch's: {error!r}.") from None


def _check_rate(rate: Any) -> None:
    value = rate.item() if isinstance(rate, Tensor) and rate.numel() == 1 else rate
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < math.inf:
        raise CheckpointError(f"The checkpoint's optimizer has the step size {value!r}; it must be a number above 0.")


def _check_entry(name: str, value: Any, weight: Tensor) -> None:
    """Raise unless an entry is a number, nothing, or of the weight's shape and type."""
    if not isinstance(value, Tensor):
        return
    is_count = value.dim() == 0
    if not is_count and (value.shape != weight.shape or value.dtype != weight.dtype):
        raise CheckpointError(
            f"The checkpoint's optimizer has {name} of shape {list(value.shape)} and type {value.dtype}; it must be "
            f"{list(weight.shape)} and {weight.dtype}."
        )
    if not value.isfinite().all() or (is_count and value < 0):
        raise CheckpointError(f"The checkpoint's optimizer has a {name} that is negative or not finite.")
