# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a base action is worth beyond the value of its state, taken out of the advantages."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rsl_dpcppo.learning.mlp import make_mlp
from rsl_dpcppo.learning.objective import standardized

LEARNING_RATE, NUM_EPOCHS, NUM_MINI_BATCHES = 1e-3, 5, 4
"""Step size of Adam, and the size of each fit."""


class BaseActionBaseline:
    """Learns b(s, a0) = E[A(s, a) | s, a0], so that A - b compares an action with others around its own base action.

    PPO's value function averages over the base actions. Where those of one mode return less than those of another, all
    their advantages are negative, and the kernel is pushed away from whatever it did there, and in the end out of the
    mode. In the conditional problem a0 is part of the state, and a baseline may depend on it.
    """

    def __init__(self, num_inputs: int, hidden_dims: list[int], device: torch.device) -> None:
        """Build the network, which says zero until it has learned.

        Args:
            num_inputs: Width of [s, features of a0].
            hidden_dims: Widths of the hidden layers.
            device: Where the tensors are.
        """
        self.network = make_mlp(num_inputs, hidden_dims, 1, nn.ELU()).to(device)
        for parameter in self.network[-1].parameters():
            nn.init.zeros_(parameter)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE)

    @torch.no_grad()
    def centre(self, inputs: Tensor, advantages: Tensor) -> Tensor:
        """Return A - b(s, a0), with mean 0 and standard deviation 1.

        Args:
            inputs: [s, features of a0]. Shape: [batch, num_inputs].
            advantages: A, with mean 0 and standard deviation 1. Shape: [batch, 1].
        """
        return standardized(advantages - self.network(inputs))

    def fit(self, inputs: Tensor, advantages: Tensor) -> Tensor:
        """Fit b to a rollout. To be called after :meth:`centre`: a baseline must not have seen what it is taken from.

        Args:
            inputs: [s, features of a0]. Shape: [batch, num_inputs].
            advantages: A, with mean 0 and standard deviation 1. Shape: [batch, 1].

        Returns:
            Mean squared error of the last epoch. Shape: [].
        """
        pairs = torch.cat((inputs, advantages), dim=-1)
        losses = []
        for _ in range(NUM_EPOCHS):
            for batch in pairs[torch.randperm(len(pairs), device=pairs.device)].tensor_split(NUM_MINI_BATCHES):
                error = nn.functional.mse_loss(self.network(batch[:, :-1]), batch[:, -1:])
                self.optimizer.zero_grad()
                error.backward()
                self.optimizer.step()
                losses.append(error.detach())
        return torch.stack(losses[-NUM_MINI_BATCHES:]).mean()

    def state_dict(self) -> dict[str, Any]:
        """Return weights and optimizer."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
