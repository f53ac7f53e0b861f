# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO++'s flow, whose solver remembers one step and can be run backward exactly (arXiv 2606.06967)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rsl_dpcppo.flow.invertible import InvertibleFlow
from rsl_dpcppo.flow.velocity import VelocityField


class ReversibleFlow(InvertibleFlow):
    """Carries two noises, x_0 and its history x_{-1}, to an action x_N and its history x_{N-1}.

    A step is x_{i+1} = (1 - h) x_i + h x_{i-1} + (1 + h) u(x_i, i / N, s) / N. Given x_{i+1} and x_i it can be solved
    for x_{i-1} without evaluating the field at what is sought. The field moves x_{i+1} by what x_i alone says, so each
    step scales the volume by h for each action, and the flow's determinant is a constant.
    """

    def __init__(self, velocity: VelocityField, num_steps: int, history: float) -> None:
        """Wrap a velocity field.

        Args:
            velocity: The field u.
            num_steps: Number N of steps.
            history: h above 0, the share of x_{i-1} in a step.
        """
        super().__init__(velocity, num_steps)
        self.history = history

    def action(self, pair: Tensor) -> Tensor:
        """Return x_N of [x_N, x_{N-1}]. Shape: [batch, 2 * num_actions] -> [batch, num_actions]."""
        return pair.chunk(2, dim=-1)[0]

    def transport(self, noise: Tensor, context: Tensor) -> Tensor:
        """Solve the flow.

        Args:
            noise: [x_0, x_{-1}]. Shape: [batch, 2 * num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            [x_N, x_{N-1}]. Shape: [batch, 2 * num_actions].
        """
        embedding = self.velocity.embed(context)
        times = torch.arange(self.num_steps, dtype=noise.dtype, device=noise.device) / self.num_steps
        present, past = noise.chunk(2, dim=-1)
        for step in range(self.num_steps):
            moved = (1.0 + self.history) / self.num_steps * self.velocity(present, times[step], embedding)
            present, past = (1.0 - self.history) * present + self.history * past + moved, present
        return torch.cat((present, past), dim=-1)

    def inverse(self, pair: Tensor, context: Tensor) -> Tensor:
        """Undo :meth:`transport`, exactly but for rounding.

        Args:
            pair: [x_N, x_{N-1}]. Shape: [batch, 2 * num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            [x_0, x_{-1}]. Shape: [batch, 2 * num_actions].
        """
        embedding = self.velocity.embed(context)
        times = torch.arange(self.num_steps, dtype=pair.dtype, device=pair.device) / self.num_steps
        following, present = pair.chunk(2, dim=-1)
        for step in range(self.num_steps - 1, -1, -1):
            moved = (1.0 + self.history) / self.num_steps * self.velocity(present, times[step], embedding)
            following, present = present, (following - (1.0 - self.history) * present - moved) / self.history
        return torch.cat((following, present), dim=-1)

    def log_volume(self, num_actions: int) -> float:
        """Return N d log h."""
        return self.num_steps * num_actions * math.log(self.history)
