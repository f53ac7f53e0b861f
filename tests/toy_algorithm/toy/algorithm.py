# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Its policy and its update."""

from __future__ import annotations

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.toy.config import ToyFields
from rsl_dpcppo.config import SampledModelFields
from rsl_dpcppo.flow.matching import draw_noise_and_time, velocity_error
from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.sampled_learner import SampledLearner
from rsl_dpcppo.learning.sampled_policy import Sample, SampledPolicy


class ToyPolicy(SampledPolicy):
    fields_class = SampledModelFields
    stored_name = "toy_action"

    def make_flow(self, velocity: VelocityField, fields: SampledModelFields) -> FlowSolver:
        return FlowSolver(velocity, fields.flow_steps)

    @property
    def stored_width(self) -> int:
        return self.head.num_actions

    def draw(self, noise: Tensor, context: Tensor) -> Sample:
        actions = self.live(noise, context)
        return Sample(actions, actions, torch.zeros_like(noise[:, 0]))


class ToyLearner(SampledLearner):
    fields_class = ToyFields
    policy_class = ToyPolicy

    policy: ToyPolicy
    cfg: ToyFields

    def losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        noise, time = draw_noise_and_time(batch.stored)
        embedding = self.policy.velocity.embed(self.host.context(batch.observations))
        error = velocity_error(self.policy.velocity, embedding, batch.stored, noise, time).square().sum(dim=-1)
        weight = (batch.advantages / self.cfg.temperature).clamp(max=3.0).exp()
        losses = {self.host.value_loss_name: self.value_loss(batch), "surrogate": (weight * error).mean()}
        return losses, torch.zeros_like(losses["surrogate"])
