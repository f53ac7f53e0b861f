# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Training on several processes."""

from __future__ import annotations

import torch
from torch import Tensor


def average_across_ranks(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in place."""
    flat = torch.nn.utils.parameters_to_vector(tensors)
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    torch.nn.utils.vector_to_parameters(flat, tensors)
