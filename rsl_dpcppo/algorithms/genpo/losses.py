# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The term that GenPO's objective has beside PPO's."""

from __future__ import annotations

import torch
from torch import Tensor


def compression_loss(pair: Tensor) -> Tensor:
    """Return E[||z - y||], which draws the halves of the doubled action together.

    Args:
        pair: x_1 = [z, y], made by the flow that is trained. Shape: [batch, 2 * num_actions].

    Returns:
        Distance, averaged over the batch, in actions. Shape: [].
    """
    first, second = pair.chunk(2, dim=-1)
    return torch.linalg.vector_norm(first - second, dim=-1).mean()
