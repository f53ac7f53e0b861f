# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DPPO's policy."""

from __future__ import annotations

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.dppo.config import DPPOModelFields
from rsl_dpcppo.flow.diffusion import DenoisingChain
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.sampled_policy import Sample, SampledPolicy


class DPPOPolicy(SampledPolicy):
    """A chain of Gaussian denoising steps."""

    fields_class = DPPOModelFields
    stored_name = "denoising_chain"

    def make_flow(self, velocity: VelocityField, fields: DPPOModelFields) -> DenoisingChain:
        """Return the chain."""
        return DenoisingChain(
            velocity, fields.flow_steps, fields.denoising_min_std, fields.denoising_noise_clip, fields.denoised_clip
        )

    def noise_width(self, num_actions: int) -> int:
        """Return the width of the noise of all steps."""
        return self.live.noise_width

    @property
    def stored_width(self) -> int:
        """Width of the chain, from the noise to the action."""
        return (self.live.num_steps + 1) * self.head.num_actions

    def draw_noise(self, context: Tensor) -> Tensor:
        """Draw the noise of all steps, one after the other as the chain takes it. Shape: [batch, noise_width]."""
        like = context.new_empty(len(context), self.head.num_actions)
        return torch.cat([torch.randn_like(like) for _ in range(self.live.num_steps + 1)], dim=-1)

    def draw(self, noise: Tensor, context: Tensor) -> Sample:
        """Sample actions and their chains; the algorithm looks at each step's likelihood."""
        chain = self.live.sample(noise, context)
        return Sample(chain[:, -1], chain.flatten(1), torch.zeros_like(noise[:, 0]))
