# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The velocity field u(a_t, t, s) of the flow policy."""

# No postponed annotations here: TorchScript reads those of buffers from the class, as types.

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


def _add_frequencies(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Add the frequencies to a checkpoint of 0.1.0, which had one range of them for all algorithms."""
    frequencies: Any = module.frequencies
    if len(frequencies) > 0:
        state_dict.setdefault(f"{prefix}frequencies", torch.logspace(0.0, 3.0, len(frequencies)))


def _hidden_layers(widths: Sequence[int], activation: nn.Module) -> list[nn.Module]:
    """Return a linear layer from each width to the next, and the activation after each."""
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        layers += [nn.Linear(width_in, width_out), activation]
    return layers


class VelocityField(nn.Module):
    """Multi-layer perceptron u(a_t, t, s) whose flow carries noise to actions (arXiv 2603.04790, section 3.2).

    The context (the normalised observation, or what an encoder makes of it) enters the first layer only, through layers
    of its own if it has any, so its share of that layer is the same at every step of the solver. :meth:`embed` computes
    it once; :meth:`forward` adds the share of the action and of the time.
    """

    frequencies: Tensor

    def __init__(
        self,
        context_dim: int,
        num_actions: int,
        hidden_dims: list[int] | tuple[int, ...],
        activation: nn.Module,
        time_features: int = 0,
        frequencies: list[float] | tuple[float, float] = (1.0, 1000.0),
        scale: float = 1.0,
        context_dims: list[int] | tuple[int, ...] = (),
    ) -> None:
        """Build the network.

        Args:
            context_dim: Width of the context s.
            num_actions: Width of the action a.
            hidden_dims: Widths of the hidden layers that see action and time, at least one.
            activation: Module put after every hidden layer; it holds no parameters, so one serves all.
            time_features: Number of sines and cosines of the time, even; 0 for the time as it is.
            frequencies: First and last of their angular frequencies, in radians over the flow's length; those between
                are spaced evenly on a logarithmic scale.
            scale: What the output is multiplied with.
            context_dims: Widths of the layers over the context alone, which run once whatever the number of steps.
        """
        super().__init__()
        self.context_dim = context_dim
        self.num_actions = num_actions
        self.scale = scale
        first, last = (math.log10(frequency) for frequency in frequencies)
        # Part of a checkpoint: what the weights were trained with, whatever the fields say by then.
        values = torch.logspace(first, last, time_features // 2)
        self.register_buffer("frequencies", values, persistent=time_features > 0)
        self.register_load_state_dict_pre_hook(_add_frequencies)
        self.context_layers = nn.Sequential(*_hidden_layers((context_dim, *context_dims), activation))
        self.embedded_dim = context_dims[-1] if context_dims else context_dim
        # One linear layer over [s, a, t], so that it is initialised as one; it is used in two parts: s, and [a, t].
        self.input_layer = nn.Linear(self.embedded_dim + num_actions + max(1, time_features), hidden_dims[0])
        layers = _hidden_layers(hidden_dims, activation)
        self.trunk = nn.Sequential(activation, *layers, nn.Linear(hidden_dims[-1], num_actions))

    def stand_still(self) -> None:
        """Set the last layer to zero: the flow carries each noise to itself, whatever the context."""
        for parameter in self.trunk[-1].parameters():
            nn.init.zeros_(parameter)

    def embed(self, context: Tensor) -> Tensor:
        """Return the context's share of the first layer.

        Args:
            context: s. Shape: [batch, context_dim].

        Returns:
            W_s c(s) + b, where c is the layers over the context. Shape: [batch, hidden_dims[0]].
        """
        weight = self.input_layer.weight[:, : self.embedded_dim]
        return nn.functional.linear(self.context_layers(context), weight, self.input_layer.bias)

    def forward(self, action: Tensor, time: Tensor, embedding: Tensor) -> Tensor:
        """Return the velocity at a point of the flow.

        Args:
            action: a_t. Shape: [batch, num_actions].
            time: t in [0, 1]. Shape: [batch, 1], or anything that broadcasts to it.
            embedding: What :meth:`embed` returned for s. Shape: [batch, hidden_dims[0]].

        Returns:
            u(a_t, t, s) in actions per unit of flow time. Shape: [batch, num_actions].
        """
        time = time.reshape(-1, 1)
        if len(self.frequencies) > 0:
            phase = time * self.frequencies
            time = torch.cat((phase.sin(), phase.cos()), dim=-1)
        action_and_time = torch.cat((action, time.expand(action.shape[0], time.shape[1])), dim=-1)
        weight = self.input_layer.weight[:, self.embedded_dim :]
        # The sum is made inside the product: passes over a hidden layer are what counts at these widths.
        velocity = self.trunk(torch.addmm(embedding, action_and_time, weight.t()))
        return velocity if self.scale == 1.0 else self.scale * velocity
