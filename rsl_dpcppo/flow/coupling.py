# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO's flow of a doubled action, which can be inverted exactly (arXiv 2505.18763, section 4.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rsl_dpcppo.flow.invertible import InvertibleFlow
from rsl_dpcppo.flow.velocity import VelocityField


class CouplingFlow(InvertibleFlow):
    """Carries noise x_0 = [z, y] to a doubled action along one velocity field, each half by the other's velocity.

    A step from t to t + dt moves z <- z + u(y, t, s) dt, then y <- y + u(z, t, s) dt, and mixes the halves:
    z <- p z + (1 - p) y, then y <- p y + (1 - p) z. The moves keep the volume, since neither half moves by itself, and
    the mixing scales it by p^2 for each action; so the flow's determinant is a constant.
    """

    def __init__(self, velocity: VelocityField, num_steps: int, mix: float) -> None:
        """Wrap a velocity field.

        Args:
            velocity: The field u, over one half.
            num_steps: Number N of steps, dt = 1 / N.
            mix: p in (0, 1).
        """
        super().__init__(velocity, num_steps)
        self.mix = mix

    def action(self, pair: Tensor) -> Tensor:
        """Return the mean of the halves. Shape: [batch, 2 * num_actions] -> [batch, num_actions]."""
        first, second = pair.chunk(2, dim=-1)
        return 0.5 * (first + second)

    def transport(self, noise: Tensor, context: Tensor) -> Tensor:
        """Solve the flow.

        Args:
            noise: x_0. Shape: [batch, 2 * num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            x_1, the doubled action. Shape: [batch, 2 * num_actions].
        """
        embedding = self.velocity.embed(context)
        step_size = 1.0 / self.num_steps
        times = torch.arange(self.num_steps, dtype=noise.dtype, device=noise.device) * step_size
        first, second = noise.chunk(2, dim=-1)
        for step in range(self.num_steps):
            time = times[step]
            first = torch.add(first, self.velocity(second, time, embedding), alpha=step_size)
            second = torch.add(second, self.velocity(first, time, embedding), alpha=step_size)
            first = self.mix * first + (1.0 - self.mix) * second
            second = self.mix * second + (1.0 - self.mix) * first
        return torch.cat((first, second), dim=-1)

    def inverse(self, pair: Tensor, context: Tensor) -> Tensor:
        """Undo :meth:`transport`, exactly but for rounding.

        Args:
            pair: x_1. Shape: [batch, 2 * num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            x_0. Shape: [batch, 2 * num_actions].
        """
        embedding = self.velocity.embed(context)
        step_size = 1.0 / self.num_steps
        times = torch.arange(self.num_steps, dtype=pair.dtype, device=pair.device) * step_size
        first, second = pair.chunk(2, dim=-1)
        for step in range(self.num_steps - 1, -1, -1):
            time = times[step]
            second = (second - (1.0 - self.mix) * first) / self.mix
            first = (first - (1.0 - self.mix) * second) / self.mix
            second = torch.sub(second, self.velocity(first, time, embedding), alpha=step_size)
            first = torch.sub(first, self.velocity(second, time, embedding), alpha=step_size)
        return torch.cat((first, second), dim=-1)

    def log_volume(self, num_actions: int) -> float:
        """Return 2 N d log p: each mix scales every action of both halves by p."""
        return 2 * self.num_steps * num_actions * math.log(self.mix)
