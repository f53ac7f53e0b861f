# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The policy of DP-CPPO with rare folds as one network head: that of DP-CPPO, from noise that PPO improves."""

# No postponed annotations here: TorchScript reads those of buffers from the class, as types.

from typing import Any

import torch
from torch import Tensor, nn

from rsl_dpcppo.algorithms.dpcppo.head import ResidualHead
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.mlp import make_mlp


class NoiseGaussian(nn.Module):
    """p(n | s) = N(nu(s), diag(tau^2)), what the flow's initial noise is drawn from between two folds."""

    def __init__(self, context_dim: int, num_actions: int, hidden_dims: list[int], activation: nn.Module) -> None:
        """Build the network nu, and tau as one.

        Args:
            context_dim: Width of the context s.
            num_actions: Width of the action, and of the noise.
            hidden_dims: Widths of the hidden layers.
            activation: Module put after every hidden layer; it holds no parameters, so one serves all.
        """
        super().__init__()
        self.mean = make_mlp(context_dim, hidden_dims, num_actions, activation)
        self.log_std = nn.Parameter(torch.zeros(num_actions))

    @property
    def std(self) -> Tensor:
        """Standard deviation tau of the noise. Shape: [num_actions]."""
        return self.log_std.exp()

    def forward(self, standard: Tensor, context: Tensor) -> Tensor:
        """Return nu(s) + tau e of standard noise e. Shapes: [batch, num_actions] and [batch, context_dim]."""
        return self.mean(context) + self.std * standard

    def standardized(self, noise: Tensor, context: Tensor) -> Tensor:
        """Return the e that noise is made from, the inverse of :meth:`forward`. Shape: [batch, num_actions]."""
        return (noise - self.mean(context)) / self.std


def _add_unit(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Add the unit of the residual to a checkpoint from before there was one, when it was the action's."""
    unit: Any = module.residual_unit
    state_dict.setdefault(f"{prefix}residual_unit", torch.ones_like(unit))


class NoiseResidualHead(ResidualHead):
    """Draws noise from a Gaussian of the state, carries it to a base action, and adds the residual.

    The network of the residual speaks in a unit of its own, the kernel's standard deviation at the last fold: a step of
    its weights then moves the kernel as far, in its own terms, whatever the kernel has shrunk to.
    """

    residual_unit: Tensor

    def __init__(self, velocity: VelocityField, residual: nn.Module, noise: NoiseGaussian, **settings: Any) -> None:
        """Assemble the head, with a residual of zero and standard noise.

        Args:
            velocity: Velocity field that acts; its parameters are frozen here.
            residual: mu(a0, s); see :class:`~rsl_dpcppo.algorithms.dpcppo.head.ResidualHead`.
            noise: p(n | s).
            settings: Further arguments of that class.
        """
        super().__init__(velocity, residual, **settings)
        self.noise = noise
        self.register_buffer("residual_unit", torch.ones(self.num_actions))
        self.register_load_state_dict_pre_hook(_add_unit)
        for parameter in self.last_parameters():
            nn.init.zeros_(parameter)

    def initial_noise(self, noise: Tensor, context: Tensor) -> Tensor:
        """Return noise as p(n | s) has it, made of standard noise. Shape: [batch, num_actions]."""
        return self.noise(noise, context)

    def in_actions(self, residual: Tensor) -> Tensor:
        """Return mu(a0, s) in actions. Shape: [..., num_actions]."""
        return self.residual_unit * residual

    def last_parameters(self) -> list[nn.Parameter]:
        """Return what is zero where the flow is the whole policy: the last layers of mu and nu, and log tau."""
        return [*self.last_of_residual(), *self.noise.mean[-1].parameters(), self.noise.log_std]
