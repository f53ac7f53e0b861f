# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO's policy: a flow that proposes a base action, and a residual that moves the mean of a Gaussian around it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain
from typing import Any

from torch import Tensor, nn

from rsl_dpcppo.algorithms.dpcppo.config import FlowFields
from rsl_dpcppo.algorithms.dpcppo.head import ResidualHead, residual_width
from rsl_dpcppo.flow.activation import make_activation
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.compilation import Compiled
from rsl_dpcppo.learning.policy import FlowPolicy, Shape


class KernelPolicy(FlowPolicy):
    """A live velocity field, which only the flow-matching fit changes, and a head with its average.

    RSL-RL's network is the residual mu(a0, s), its Gaussian the kernel p(a | a0, s), equation (8).
    """

    fields_class = FlowFields
    stored_name = "base_action"
    is_gaussian = True

    head: ResidualHead

    _fast_propose: Compiled | None = None

    def __init__(self, shape: Shape, fields: FlowFields, network: nn.Module) -> None:
        """Build the live velocity field and the head around its averaged copy.

        Args:
            shape: What it is for.
            fields: The flow's fields.
            network: The residual, over [s, features of a0].
        """
        activation = make_activation(fields.flow_activation)
        self.velocity = VelocityField(
            shape.context_dim,
            shape.num_actions,
            fields.flow_hidden_dims,
            activation,
            context_dims=fields.flow_context_dims,
        )
        self.head = self.make_head(
            shape,
            copy.deepcopy(self.velocity),
            network,
            flow_steps=fields.flow_steps,
            flow_solver=fields.flow_solver,
            residual_frequencies=fields.residual_frequencies,
            inference_policy=fields.inference_policy,
            inference_noise=fields.inference_noise,
        )

    def make_head(self, shape: Shape, velocity: VelocityField, network: nn.Module, **settings: Any) -> ResidualHead:
        """Return the head around the flow's weights that act and the residual."""
        return ResidualHead(velocity, network, **settings)

    @classmethod
    def extra_inputs(cls, num_actions: int, fields: FlowFields) -> int:
        """Return the width of what the residual sees of a0."""
        return residual_width(num_actions, fields.residual_frequencies)

    def modules(self) -> dict[str, nn.Module]:
        """Return the live velocity field."""
        return {"velocity": self.velocity}

    @property
    def stored_width(self) -> int:
        """Width of the base action."""
        return self.head.num_actions

    def draw(self, noise: Tensor, context: Tensor) -> Tensor:
        """Carry noise to base actions a0, with the averaged weights. Shape: [batch, num_actions]."""
        return self.head.flow(noise, context)

    def compile(self, mode: str) -> None:
        """Choose how :meth:`act` runs :meth:`propose`, too."""
        super().compile(mode)
        self._fast_propose = Compiled(self.propose, mode)

    def act(self, context: Tensor) -> Tensor:
        """Return the kernel's mean around new base actions, which are stored. Shape: [num_envs, num_actions]."""
        mean, self.stored = (self._fast_propose or self.propose)(self.draw_noise(context), context)
        return mean

    def propose(self, noise: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kernel's mean around the base actions that standard noise becomes, and what is stored of them.

        Shapes: [batch, num_actions] and [batch, stored_width].
        """
        base_action = self.carry(noise, context)
        return self.head.kernel_mean(base_action, context), base_action

    def evaluate(self, stored: Tensor, context: Tensor) -> Tensor:
        """Return the kernel's mean around stored base actions. Shape: [..., num_actions]."""
        return self.head.kernel_mean(stored, context)

    def untrained_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the live and the averaged flow."""
        return chain(self.velocity.parameters(), self.head.flow.parameters())
