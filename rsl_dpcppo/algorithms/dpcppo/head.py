# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO's policy as one network head: a flow, and a residual on top of it."""

# No postponed annotations here: TorchScript reads those of buffers from the class, as types.

import torch
from torch import Tensor, nn

from rsl_dpcppo.algorithms.dpcppo.config import INFERENCE_POLICIES
from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.head import PolicyHead


def residual_width(num_actions: int, residual_frequencies: int) -> int:
    """Return the number of features that the residual sees of a0."""
    return num_actions * (1 + 2 * residual_frequencies)


class ResidualHead(PolicyHead):
    """The policy of DP-CPPO: a flow proposes a base action, a residual improves it.

    Training calls the two parts, :attr:`flow` and :meth:`kernel_mean`, because the base action that was sampled is
    stored and the kernel is evaluated again around it.
    """

    policies = INFERENCE_POLICIES

    frequencies: Tensor

    def __init__(
        self,
        velocity: VelocityField,
        residual: nn.Module,
        *,
        flow_steps: int,
        flow_solver: str,
        residual_frequencies: int = 0,
        inference_policy: str,
        inference_noise: str,
    ) -> None:
        """Assemble the head.

        Args:
            velocity: Averaged velocity field that acts; its parameters are frozen here.
            residual: mu(a0, s) as a network over [s, features of a0], the latter as wide as :func:`residual_width`
                says: [batch, context_dim + width] -> [batch, num_actions].
            flow_steps: Number of solver steps.
            flow_solver: "euler" or "midpoint".
            residual_frequencies: Octaves of sine and cosine among the features of a0. With any, mu starts at zero.
            inference_policy: "flow_residual" or "flow".
            inference_noise: "random", "zero", or a seed in digits; see :meth:`set_inference`.
        """
        super().__init__(FlowSolver(velocity, flow_steps, flow_solver), inference_noise)
        self.residual = residual
        self.num_frequencies = residual_frequencies
        self.register_buffer("frequencies", 2.0 ** torch.arange(residual_frequencies), persistent=False)
        if residual_frequencies:
            # Each base action is carried on by mu in every iteration: a random mu would carry all of them one way.
            for parameter in self.last_of_residual():
                nn.init.zeros_(parameter)
        self.set_inference(inference_policy, inference_noise)

    def set_inference(self, policy: str, noise: str) -> None:
        """Choose how the policy acts; see :meth:`PolicyHead.set_inference`."""
        super().set_inference(policy, noise)
        self.add_residual = policy == "flow_residual"

    def last_of_residual(self) -> list[nn.Parameter]:
        """Return what is zero where mu is: the parameters of its last layer."""
        last = [module for module in self.residual.modules() if isinstance(module, nn.Linear)][-1]
        return list(last.parameters())

    def act(self, noise: Tensor, context: Tensor) -> Tensor:
        """Act from a given initial noise a_n of shape [batch, num_actions]."""
        base_action = self.flow(self.initial_noise(noise, context), context)
        if self.add_residual:
            return self.kernel_mean(base_action, context)
        return base_action

    def initial_noise(self, noise: Tensor, context: Tensor) -> Tensor:
        """Return what the flow starts from, made of standard noise.

        Args:
            noise: Standard noise. Shape: [batch, num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            Noise a_n. Shape: [batch, num_actions].
        """
        return noise

    def kernel_mean(self, base_action: Tensor, context: Tensor) -> Tensor:
        """Return a0 + mu(a0, s), the mean of the residual kernel, equation (8) of arXiv 2603.04790.

        Args:
            base_action: a0. Shape: [..., num_actions].
            context: s. Shape: [..., context_dim].
        """
        return base_action + self.in_actions(self.residual(torch.cat((context, self.features(base_action)), dim=-1)))

    def in_actions(self, residual: Tensor) -> Tensor:
        """Return mu(a0, s) in actions, of what its network says. Shape of both: [..., num_actions]."""
        return residual

    def features(self, base_action: Tensor) -> Tensor:
        """Return what the residual sees of a0: a0, and sin(2^j a0), cos(2^j a0) for each octave j.

        Args:
            base_action: a0. Shape: [..., num_actions].

        Returns:
            Features. Shape: [..., num_actions * (1 + 2 * residual_frequencies)].
        """
        if self.num_frequencies == 0:
            return base_action
        phase = (base_action.unsqueeze(-1) * self.frequencies).flatten(-2)
        return torch.cat((base_action, phase.sin(), phase.cos()), dim=-1)
