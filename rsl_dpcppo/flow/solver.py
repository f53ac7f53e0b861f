# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Sampling a flow policy: a fixed-step solver of da = u(a, t, s) dt from t = 0 to t = 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.velocity import VelocityField


class FlowSolver(nn.Module):
    """Carries noise to actions along a velocity field (arXiv 2603.04790, below equation 12).

    A module rather than a function, because TorchScript and ONNX export it as it stands.
    """

    def __init__(self, velocity: VelocityField, num_steps: int, solver: str = "euler") -> None:
        """Wrap a velocity field.

        Args:
            velocity: The field to follow.
            num_steps: Number of solver steps; may be changed at any time.
            solver: "euler" (one evaluation a step) or "midpoint" (two).
        """
        super().__init__()
        self.velocity = velocity
        self.num_steps = num_steps
        self.solver = solver

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """Return :meth:`transport` of the noise."""
        return self.transport(noise, context)

    def transport(self, noise: Tensor, context: Tensor) -> Tensor:
        """Solve the flow's ODE.

        Args:
            noise: a_n, the state at t = 0. Shape: [batch, num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            The state at t = 1. Shape: [batch, num_actions].
        """
        embedding = self.velocity.embed(context)
        step_size = 1.0 / self.num_steps
        times = torch.arange(self.num_steps, dtype=noise.dtype, device=noise.device) * step_size
        action = noise
        for step in range(self.num_steps):
            action = self.step(action, times[step], step_size, embedding)
        return action

    def step(self, action: Tensor, time: Tensor, step_size: float, embedding: Tensor) -> Tensor:
        """Make one step of the solver.

        Args:
            action: a_t. Shape: [batch, num_actions].
            time: t. Shape: [].
            step_size: How far t goes on; negative to go back toward the noise.
            embedding: What the field's ``embed`` returned for s. Shape: [batch, hidden_dims[0]].

        Returns:
            a at t + step_size. Shape: [batch, num_actions].
        """
        slope = self.velocity(action, time, embedding)
        if self.solver == "midpoint":
            half_way = torch.add(action, slope, alpha=0.5 * step_size)
            slope = self.velocity(half_way, time + 0.5 * step_size, embedding)
        return torch.add(action, slope, alpha=step_size)
