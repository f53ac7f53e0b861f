# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What an optimizer writes is finite, and what it reads fits its weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rsl_dpcppo.errors import CheckpointError, NonFiniteError

LARGEST_STEP_SIZE = 1e3
"""More than any optimizer learns with."""


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


def check_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Compare a saved state with the weights that it is for: PyTorch does not, and its fused kernels overrun memory.

    Args:
        optimizer: Who is to load it.
        state: What ``state_dict`` returned.

    Returns:
        The state with the optimizer's own settings, but for the step size: they are the configuration's.

    Raises:
        CheckpointError: If it does not fit; says what.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    expected = _state_of_one_weight(optimizer)
    try:
        groups, entries = state["param_groups"], state["state"]
        if len(groups) != len(optimizer.param_groups):
            raise CheckpointError(f"The checkpoint's optimizer has {len(groups)} groups, not its own number.")
        numbers = [number for group in groups for number in group["params"]]
        for number, weight in zip(numbers, weights, strict=False):  # PyTorch compares how many there are
            entry = entries.get(number, {})
            if not isinstance(entry, dict):
                raise CheckpointError(f"The checkpoint's optimizer has {entry!r:.100} as the state of weight {number}.")
            if entry and entry.keys() != expected.keys():
                raise CheckpointError(
                    f"The checkpoint's optimizer has {', '.join(map(str, entry))} of weight {number}; it must be "
                    f"{', '.join(expected)}."
                )
            for name, value in entry.items():
                _check_entry(f"{name} of weight {number}", value, expected[name], weight)
        own = [{name: x for name, x in group.items() if name != "params"} for group in optimizer.param_groups]
        groups = [
            {**settings, "params": group["params"], "lr": _checked_rate(group["lr"])}
            for settings, group in zip(own, groups, strict=True)
        ]
        return {**state, "param_groups": groups}
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"The checkpoint's optimizer state is none of PyTorch's: {error!r}.") from None


def _state_of_one_weight(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return what an optimizer of this kind keeps of a weight of shape [1]."""
    group = {name: value for name, value in optimizer.param_groups[0].items() if name != "params"}
    weight = optimizer.param_groups[0]["params"][0].new_zeros(1).requires_grad_()
    weight.grad = torch.zeros_like(weight)
    kind: Any = type(optimizer)
    other = kind([{"params": [weight], **group}])
    other.step()
    return other.state[weight]


def _checked_rate(rate: Any) -> Any:
    value = rate.item() if isinstance(rate, Tensor) and rate.numel() == 1 else rate
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value <= LARGEST_STEP_SIZE:
        raise CheckpointError(
            f"The checkpoint's optimizer has the step size {value!r}; it must be a number above 0, and at most "
            f"{LARGEST_STEP_SIZE:g}."
        )
    return rate


def _check_entry(name: str, value: Any, expected: Any, weight: Tensor) -> None:
    """Raise unless an entry is of the expected kind: a number, a count, or a tensor like the weight."""
    if not isinstance(expected, Tensor):
        if not isinstance(value, type(expected)):
            raise CheckpointError(f"The checkpoint's optimizer has {value!r:.100} as {name}; it must be {expected!r}.")
        return
    shape = weight.shape if expected.dim() > 0 else expected.shape
    if not isinstance(value, Tensor) or (value.shape, value.dtype, value.layout) != (
        shape,
        expected.dtype,
        expected.layout,
    ):
        found = f"{list(value.shape)} and type {value.dtype}" if isinstance(value, Tensor) else repr(value)
        raise CheckpointError(
            f"The checkpoint's optimizer has {name} of shape {found:.100}; it must be {list(shape)} and "
            f"{expected.dtype}."
        )
    if not value.isfinite().all() or (expected.dim() == 0 and value < 0):
        raise CheckpointError(f"The checkpoint's optimizer has a {name} that is negative or not finite.")
