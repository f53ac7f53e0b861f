# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The policy of DP-CPPO with rare folds: DP-CPPO's, from noise that PPO improves too."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rsl_dpcppo.algorithms.dpcppo.config import FlowFields
from rsl_dpcppo.algorithms.dpcppo.model import KernelPolicy
from rsl_dpcppo.algorithms.dpcppo_fold.config import DPCPPOFoldModelFields
from rsl_dpcppo.algorithms.dpcppo_fold.head import NoiseGaussian, NoiseResidualHead
from rsl_dpcppo.flow.activation import make_activation
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.policy import Shape


class Stored(NamedTuple):
    """What the rollout stores of an action. Shape of each: [..., num_actions]."""

    base_action: Tensor
    """a0."""
    noise: Tensor
    """n, which the flow made a0 from."""
    noise_mean: Tensor
    """nu(s) when n was drawn."""


class NoiseKernelPolicy(KernelPolicy):
    """A policy like DP-CPPO's, whose noise comes from a Gaussian p(n | s) that PPO improves as it does the kernel."""

    fields_class = DPCPPOFoldModelFields

    head: NoiseResidualHead
    noise_mean: Tensor
    """nu(s) of the last :meth:`evaluate`. Shape: [..., num_actions]."""

    def __init__(self, shape: Shape, fields: FlowFields, network: nn.Module) -> None:
        """Build a policy whose base action is its noise until the first fold.

        A flow as PyTorch makes it would move the noise by a function of the state that nothing has learned, for PPO to
        see through until then. Arguments as of :class:`~rsl_dpcppo.algorithms.dpcppo.model.KernelPolicy`.
        """
        super().__init__(shape, fields, network)
        for velocity in (self.velocity, self.head.flow.velocity):
            velocity.stand_still()

    def make_head(
        self, shape: Shape, velocity: VelocityField, network: nn.Module, **settings: Any
    ) -> NoiseResidualHead:
        """Return the head; nu has the widths and the activation of the residual."""
        noise = NoiseGaussian(
            shape.context_dim, shape.num_actions, shape.hidden_dims, make_activation(shape.activation)
        )
        return NoiseResidualHead(velocity, network, noise, **settings)

    @property
    def stored_width(self) -> int:
        """Width of a :class:`Stored`."""
        return len(Stored._fields) * self.head.num_actions

    def split(self, stored: Tensor) -> Stored:
        """Return what was stored by its names. Shape: [..., stored_width]."""
        return Stored(*stored.split(self.head.num_actions, dim=-1))

    def propose(self, noise: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kernel's mean around the base actions that standard noise becomes, and what is stored of them.

        Shapes: [batch, num_actions] and [batch, stored_width].
        """
        noise_mean = self.head.noise.mean(context)
        noise = noise_mean + self.head.noise.std * noise
        base_action = self.carry(noise, context)
        return self.head.kernel_mean(base_action, context), torch.cat(Stored(base_action, noise, noise_mean), dim=-1)

    def evaluate(self, stored: Tensor, context: Tensor) -> Tensor:
        """Return the kernel's mean around stored base actions, and keep nu(s). Shape: [..., num_actions]."""
        self.noise_mean = self.head.noise.mean(context)
        return self.head.kernel_mean(self.split(stored).base_action, context)
