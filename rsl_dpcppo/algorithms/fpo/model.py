# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The policy of FPO and FPO++."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rsl_dpcppo.algorithms.fpo.config import FPOModelFields
from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.policy import Shape
from rsl_dpcppo.learning.sampled_policy import Sample, SampledPolicy


class FPOPolicy(SampledPolicy):
    """Euler's method along the velocity field."""

    fields_class = FPOModelFields
    stored_name = "flow_end"

    def make_flow(self, velocity: VelocityField, fields: FPOModelFields) -> FlowSolver:
        """Return the solver."""
        return FlowSolver(velocity, fields.flow_steps)

    def velocity_scale(self, fields: FPOModelFields) -> float:
        """Return what the network's output is multiplied with to be the velocity."""
        return fields.flow_velocity_scale

    def squashes_actions(self, fields: FPOModelFields) -> bool:
        """Return whether the action is tanh of what the flow makes."""
        return fields.squash_actions

    def __init__(self, shape: Shape, fields: FPOModelFields, network: nn.Module | None = None) -> None:
        """Build the policy; see :class:`~rsl_dpcppo.learning.sampled_policy.SampledPolicy`."""
        super().__init__(shape, fields, network)
        self._action_noise_std = fields.action_noise_std

    @property
    def stored_width(self) -> int:
        """Width of what the flow makes."""
        return self.head.num_actions

    def draw(self, noise: Tensor, context: Tensor) -> Sample:
        """Sample actions, and what they are before they are squashed; FPO has no likelihood."""
        end = self.live(noise, context)
        if self._action_noise_std > 0.0:
            end = end + self._action_noise_std * torch.randn_like(end)
        actions = end.tanh() if self.head.squash_actions else end
        return Sample(actions, end, torch.zeros_like(noise[:, 0]))
