# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A multi-layer perceptron."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def make_mlp(
    num_inputs: int, hidden_dims: list[int], num_outputs: int, activation: nn.Module, layer_norm: bool = False
) -> nn.Sequential:
    """Return a perceptron: [..., num_inputs] -> [..., num_outputs].

    Args:
        num_inputs: Width of the input.
        hidden_dims: Widths of the hidden layers.
        num_outputs: Width of the output.
        activation: Module put after every hidden layer; it holds no parameters, so one serves all.
        layer_norm: Whether a layer normalisation goes before each activation.
    """
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise([num_inputs, *hidden_dims]):
        norm = [nn.LayerNorm(width_out)] if layer_norm else []
        layers += [nn.Linear(width_in, width_out), *norm, activation]
    return nn.Sequential(*layers, nn.Linear([num_inputs, *hidden_dims][-1], num_outputs))
