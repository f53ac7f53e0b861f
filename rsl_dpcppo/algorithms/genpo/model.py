# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO's policy."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from rsl_dpcppo.algorithms.genpo.config import GenPOModelFields
from rsl_dpcppo.flow.coupling import CouplingFlow
from rsl_dpcppo.flow.invertible import InvertibleFlow
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.sampled_policy import Sample, SampledPolicy


class GenPOPolicy(SampledPolicy):
    """A doubled action, whose halves' mean acts."""

    fields_class: ClassVar[Any] = GenPOModelFields
    stored_name = "action_pair"

    def make_flow(self, velocity: VelocityField, fields: Any) -> InvertibleFlow:
        """Return the flow of the doubled action."""
        return CouplingFlow(velocity, fields.flow_steps, fields.flow_mix)

    def noise_width(self, num_actions: int) -> int:
        """Return the width of the doubled noise."""
        return 2 * num_actions

    @property
    def stored_width(self) -> int:
        """Width of the doubled action."""
        return self.head.noise_width

    def draw(self, noise: Tensor, context: Tensor) -> Sample:
        """Sample actions, and the doubled actions that they are of."""
        pair = self.live.transport(noise, context)
        return Sample(self.live.action(pair), pair, self.live.log_prob(noise))
