# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PolicyFlow's policy: where a flow ends, plus Gaussian noise (arXiv 2602.01156)."""

# No postponed annotations here: TorchScript reads those of buffers from the class, as types.

import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField


class NoisyFlow(FlowSolver):
    """a = phi(z, s) + sigma e: the flow's end phi from noise z, and noise e of a deviation that is trained."""

    def __init__(self, velocity: VelocityField, num_steps: int, init_std: float) -> None:
        """Wrap a velocity field, which is followed by the midpoint rule.

        Args:
            velocity: The field u.
            num_steps: Number of solver steps, of two evaluations each.
            init_std: sigma to start from, in actions.
        """
        super().__init__(velocity, num_steps, "midpoint")
        self.log_std = nn.Parameter(torch.full((velocity.num_actions,), init_std).log())

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """Act.

        Args:
            noise: [z, e]. Shape: [batch, 2 * num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            a. Shape: [batch, num_actions].
        """
        start, around = noise.chunk(2, dim=-1)
        return self.perturbed(self.transport(start, context), around)

    def perturbed(self, end: Tensor, around: Tensor) -> Tensor:
        """Return phi + sigma e. Shape of all: [batch, num_actions]."""
        return end + self.log_std.exp() * around
