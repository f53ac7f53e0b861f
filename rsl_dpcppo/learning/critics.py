# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Twin critics Q1 and Q2, and what they learn (arXiv 1802.09477, 1801.01290)."""

# No postponed annotations here: TorchScript reads those of methods as types.

import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.activation import make_activation
from rsl_dpcppo.learning.mlp import make_mlp


class TwinCritics(nn.Module):
    """Two networks Q(s, a) of the same shape, that differ in their first weights."""

    def __init__(
        self, context_dim: int, num_actions: int, hidden_dims: list[int], activation: str, layer_norm: bool = False
    ) -> None:
        """Build the networks.

        Args:
            context_dim: Width of the context s.
            num_actions: Width of the action a.
            hidden_dims: Widths of the hidden layers.
            activation: Their activation, by RSL-RL's names.
            layer_norm: Whether each hidden layer is normalised before its activation.
        """
        super().__init__()
        sizes = (context_dim + num_actions, list(hidden_dims), 1, make_activation(activation), layer_norm)
        self.first, self.second = make_mlp(*sizes), make_mlp(*sizes)

    def forward(self, context: Tensor, action: Tensor) -> Tensor:
        """Return Q1 and Q2 of contexts [batch, context_dim] and actions [batch, num_actions]. Shape: [2, batch]."""
        both = torch.cat((context, action), dim=-1)
        return torch.stack((self.first(both).squeeze(-1), self.second(both).squeeze(-1)))

    def minimum(self, context: Tensor, action: Tensor) -> Tensor:
        """Return min(Q1, Q2). Shape: [batch]."""
        return self(context, action).amin(dim=0)

    def minimum_of_several(self, context: Tensor, actions: Tensor) -> Tensor:
        """Return min(Q1, Q2) of several actions of each state, whose share of the first layer is computed once.

        Args:
            context: s. Shape: [batch, context_dim].
            actions: a. Shape: [batch, number, num_actions].

        Returns:
            Values. Shape: [batch, number].
        """
        values = [_of_several(network, context, actions) for network in (self.first, self.second)]
        return torch.minimum(*values)


def _of_several(network: nn.Sequential, context: Tensor, actions: Tensor) -> Tensor:
    """Return Q of actions [batch, number, num_actions] of contexts [batch, context_dim]. Shape: [batch, number]."""
    first, *others = network
    assert isinstance(first, nn.Linear)
    of_state, of_action = first.weight.split([context.shape[1], actions.shape[2]], dim=1)
    embedding = nn.functional.linear(context, of_state, first.bias).unsqueeze(1)
    hidden = torch.baddbmm(embedding, actions, of_action.t().expand(len(actions), -1, -1)).flatten(0, 1)
    for layer in others:
        hidden = layer(hidden)
    return hidden.view(actions.shape[:2])


def td_target(rewards: Tensor, discounts: Tensor, next_values: Tensor, reward_scale: float) -> Tensor:
    """Return y = c r + gamma^n (1 - terminal) V(s'), what the critics are fitted to.

    Args:
        rewards: r, summed over the steps. Shape: [batch].
        discounts: gamma^n, 0 where s' is terminal. Shape: [batch].
        next_values: V(s') of the averaged critics. Shape: [batch].
        reward_scale: c.

    Returns:
        Targets in scaled rewards. Shape: [batch].
    """
    return reward_scale * rewards + discounts * next_values


def critic_loss(values: Tensor, target: Tensor) -> Tensor:
    """Return the sum of both critics' mean squared errors.

    Args:
        values: Q1 and Q2 of (s, a). Shape: [2, batch].
        target: y. Shape: [batch].

    Returns:
        Loss. Shape: [].
    """
    return (values - target).square().mean(dim=-1).sum()
