# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The policy of DPMD and SDAC."""

from __future__ import annotations

from torch import Tensor, nn

from rsl_dpcppo.config.diffusion import DiffusionModelFields
from rsl_dpcppo.flow.diffusion import DenoisingChain, linear_betas
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.candidates import CandidateHead
from rsl_dpcppo.learning.critics import TwinCritics
from rsl_dpcppo.learning.policy import Shape
from rsl_dpcppo.learning.sampled_policy import Sample, SampledPolicy

NO_CLIP = 20.0
"""More standard deviations than any noise has."""


class DiffusionPolicy(SampledPolicy):
    """A denoising chain within [-1, 1]. An average of what is trained plays: the best of several actions."""

    fields_class = DiffusionModelFields
    stored_name = ""

    live: DenoisingChain
    head: CandidateHead

    def __init__(self, shape: Shape, fields: DiffusionModelFields, network: nn.Module | None = None) -> None:
        """Build the policy; see the base class."""
        super().__init__(shape, fields, network)
        self.num_candidates = fields.num_candidates

    def make_flow(self, velocity: VelocityField, fields: DiffusionModelFields) -> DenoisingChain:
        """Return the chain, whose steps have the noise of the diffusion's own variances."""
        return DenoisingChain(
            velocity,
            fields.flow_steps,
            min_std=0.0,
            noise_clip=NO_CLIP,
            denoised_clip=1.0,
            betas=linear_betas(fields.flow_steps, fields.diffusion_beta_scale),
            start_scale=fields.diffusion_start_scale,
            played_min_std=0.0,
        )

    def make_head(self, flow: nn.Module, shape: Shape, fields: DiffusionModelFields) -> CandidateHead:
        """Return what plays."""
        return CandidateHead(flow, fields.inference_noise, self.live.noise_width, False, fields.action_scale)

    def choose_by(self, critics: TwinCritics | None) -> None:
        """Let critics choose among candidates at play time, or nobody.

        They are part of the model with one candidate too: so that its checkpoints load with any number.
        """
        self.head.set_candidates(self.num_candidates, critics)

    @property
    def stored_width(self) -> int:
        """Nothing is stored."""
        return 0

    def draw_noise(self, context: Tensor) -> Tensor:
        """Draw the noise of all steps of one candidate. Shape: [batch, candidate_width]."""
        return context.new_empty(len(context), self.head.candidate_width).normal_()

    def draw(self, noise: Tensor, context: Tensor) -> Sample:
        """Draw actions in [-1, 1] with the live weights."""
        return Sample(self.live(noise, context), noise[:, :0], noise[:, 0].new_zeros(len(noise)))
