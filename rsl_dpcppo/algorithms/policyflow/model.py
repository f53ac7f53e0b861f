# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PolicyFlow's policy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rsl_dpcppo.algorithms.policyflow.config import PolicyFlowModelFields
from rsl_dpcppo.flow.noisy import NoisyFlow
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.policy import Shape
from rsl_dpcppo.learning.sampled_policy import Sample, SampledPolicy


class PolicyFlowPolicy(SampledPolicy):
    """Where a flow ends, plus Gaussian noise. It plays as it was trained, with the noise."""

    fields_class = PolicyFlowModelFields
    stored_name = "flow_ends"

    live: NoisyFlow

    def __init__(self, shape: Shape, fields: PolicyFlowModelFields, network: nn.Module | None = None) -> None:
        """Build the policy, with a flow that hardly moves its noise; see the base class."""
        super().__init__(shape, fields, network)
        for flow in (self.live, self.head.flow):
            with torch.no_grad():
                last: Any = flow.velocity.trunk[-1]
                last.weight.mul_(0.01)

    def make_flow(self, velocity: VelocityField, fields: PolicyFlowModelFields) -> NoisyFlow:
        """Return the flow and its noise."""
        return NoisyFlow(velocity, fields.flow_steps, fields.init_std)

    def noise_width(self, num_actions: int) -> int:
        """Return the width of the flow's noise and of that around its end."""
        return 2 * num_actions

    @property
    def stored_width(self) -> int:
        """Width of both ends of the flow."""
        return 2 * self.head.num_actions

    def draw(self, noise: Tensor, context: Tensor) -> Sample:
        """Sample actions, and the flow's ends z and phi that they were made from."""
        start, around = noise.chunk(2, dim=-1)
        end = self.live.transport(start, context)
        return Sample(self.live.perturbed(end, around), torch.cat((start, end), dim=-1), torch.zeros_like(noise[:, 0]))
