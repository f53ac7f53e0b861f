# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Training on several processes, which torchrun starts and numbers."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import torch
from torch import Tensor


class Place(NamedTuple):
    """Where a process stands among those of its training."""

    rank: int = 0
    """Its number among all. Process 0 logs and saves."""

    local_rank: int = 0
    """Its number on this machine, and that of its GPU."""

    world_size: int = 1
    """How many there are."""


_VARIABLES = {"rank": "RANK", "local_rank": "LOCAL_RANK", "world_size": "WORLD_SIZE"}
"""Where torchrun says so, and RSL-RL looks it up."""


def place() -> Place | None:
    """Return this process's place; None where torchrun has not started it."""
    if not all(variable in os.environ for variable in _VARIABLES.values()):
        return None
    return Place(**{name: int(os.environ[variable]) for name, variable in _VARIABLES.items()})


def leave() -> None:
    """End this process's part: what it builds from now on is for itself."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for variable in _VARIABLES.values():
        os.environ.pop(variable, None)


def average_across_ranks(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in place."""
    flat = torch.nn.utils.parameters_to_vector(tensors)
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    torch.nn.utils.vector_to_parameters(flat, tensors)


def largest_across_ranks(value: int, device: str) -> int:
    """Return the largest of all processes' values. Waits for them, and for the device."""
    largest = torch.tensor(value, device=device)
    torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
    return int(largest)


def is_loss_of_a_rank(error: Exception) -> bool:
    """Return whether an error says that another process has gone. Gloo has no class for it."""
    return isinstance(error, torch.distributed.DistError) or bool(
        re.search(r"gloo|[Cc]onnection (closed|reset|refused)", str(error))
    )
