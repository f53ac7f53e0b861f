# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The step size of PPO's optimizer, which an update changes on the device without waiting for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rsl_dpcppo.learning.guard import guard_optimizer
from rsl_dpcppo.learning.objective import adapted_learning_rate


class StepSize:
    """A step size in two places: :attr:`tensor`, which the optimizer reads, and :attr:`value` for the logger."""

    def __init__(self, value: float, device: torch.device) -> None:
        """Start with a value."""
        self.tensor = torch.tensor(value, device=device)
        self.value = float(value)

    def set(self, value: float | Tensor) -> None:
        """Take a value in both places."""
        self.value = float(value)
        self.tensor.fill_(self.value)

    def adapt(self, kl: Tensor, desired_kl: float, largest_rate: float) -> None:
        """Follow a divergence, on the device alone, by :func:`~rsl_dpcppo.learning.objective.adapted_learning_rate`."""
        self.tensor.copy_(adapted_learning_rate(self.tensor, kl, desired_kl, largest_rate))

    def read(self) -> None:
        """Wait for the device, and take its value for the logger."""
        self.set(self.tensor)


def set_rate(group: dict[str, Any], value: float) -> None:
    """Give a group of an optimizer's parameters another step size, in the tensor that it is read from if it has one."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(value)
    else:
        group["lr"] = value


def make_optimizer(
    kind: Callable[..., torch.optim.Optimizer], groups: list[dict[str, Any]], **settings: Any
) -> torch.optim.Optimizer:
    """Build an optimizer that reads its step size on the device, without waiting for it.

    Args:
        kind: Class of the optimizer.
        groups: "params" and "lr", a number or a tensor, of each group. Frozen parameters are left out.
        settings: Further arguments of the class.
    """
    groups = [{**group, "params": [x for x in group["params"] if x.requires_grad]} for group in groups]
    known = inspect.signature(kind).parameters
    fast = {"fused": True} if "fused" in known else {"foreach": False}
    if "capturable" in known:
        fast["capturable"] = groups[0]["params"][0].is_cuda
    optimizer = kind(groups, **fast, **settings)
    guard_optimizer(optimizer)
    return optimizer
