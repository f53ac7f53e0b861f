# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a network has learned since the last fold."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Change(nn.Module):
    """f(x) - f_k(x), where f_k is the network f as it was at the last fold: zero there, with the gradients of f.

    A last layer of zero would be zero as well, and would keep the layers before it from learning until it has grown:
    with a fold in ten iterations they hardly learn at all.
    """

    def __init__(self, network: nn.Module) -> None:
        """Start from zero.

        Args:
            network: f, which is trained.
        """
        super().__init__()
        self.network = network
        self.folded = copy.deepcopy(network).requires_grad_(False)
        self.register_load_state_dict_pre_hook(_add_folded)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) - f_k(x). Shapes: [..., num_inputs] -> [..., num_outputs]."""
        return self.network(x) - self.folded(x)

    @torch.no_grad()
    def fold(self, made: Tensor) -> None:
        """Be zero from here.

        Args:
            made: Whether to, decided on the device. Shape: [].
        """
        for folded, parameter in zip(self.folded.parameters(), self.network.parameters(), strict=True):
            folded.copy_(torch.where(made, parameter, folded))


def _add_folded(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Read a checkpoint from when the network itself was the change: what is subtracted is zero."""
    for name in [name for name in state_dict if name.startswith(prefix)]:
        part = name.removeprefix(prefix)
        if not part.startswith(("network.", "folded.")):
            value = state_dict.pop(name)
            state_dict[f"{prefix}network.{part}"] = value
            state_dict[f"{prefix}folded.{part}"] = torch.zeros_like(value)
