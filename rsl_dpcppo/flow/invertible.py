# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What flows have in common that can be run backward exactly and scale volume by a constant."""

from __future__ import annotations

import math

from torch import Tensor, nn

from rsl_dpcppo.flow.velocity import VelocityField


class InvertibleFlow(nn.Module):
    """Carries noise of twice the action's width to a pair, of which the action is made, and back."""

    def __init__(self, velocity: VelocityField, num_steps: int) -> None:
        """Wrap a velocity field.

        Args:
            velocity: The field u, over one half.
            num_steps: Number N of steps, dt = 1 / N.
        """
        super().__init__()
        self.velocity = velocity
        self.num_steps = num_steps

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """Return the action.

        Args:
            noise: The noise pair. Shape: [batch, 2 * num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            a. Shape: [batch, num_actions].
        """
        return self.action(self.transport(noise, context))

    def action(self, pair: Tensor) -> Tensor:
        """Return the action of a pair. Shape: [batch, 2 * num_actions] -> [batch, num_actions]."""
        raise NotImplementedError

    def transport(self, noise: Tensor, context: Tensor) -> Tensor:
        """Solve the flow. Shapes: [batch, 2 * num_actions] and [batch, context_dim] -> [batch, 2 * num_actions]."""
        raise NotImplementedError

    def inverse(self, pair: Tensor, context: Tensor) -> Tensor:
        """Undo :meth:`transport`, exactly but for rounding. Shapes as there."""
        raise NotImplementedError

    def log_volume(self, num_actions: int) -> float:
        """Return the log determinant of the flow, a constant."""
        raise NotImplementedError

    def log_prob(self, noise: Tensor) -> Tensor:
        """Return log N(noise; 0, I) minus :meth:`log_volume`, the density of the pair.

        Args:
            noise: What the pair was made from or inverted to. Shape: [batch, 2 * num_actions].

        Returns:
            Log density in nats. Shape: [batch].
        """
        log_density = (-0.5 * noise.square() - 0.5 * math.log(2.0 * math.pi)).sum(dim=-1)
        return log_density - self.log_volume(noise.shape[-1] // 2)
