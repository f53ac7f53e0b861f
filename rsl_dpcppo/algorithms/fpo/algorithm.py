# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""FPO's update."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.fpo.config import FPOFields
from rsl_dpcppo.algorithms.fpo.losses import noise_estimation_loss, velocity_errors
from rsl_dpcppo.algorithms.fpo.model import FPOPolicy
from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.sampled_learner import SampledLearner


class FPOLearner(SampledLearner):
    """PPO whose probability ratio comes from the flow-matching loss: exp(E[L_old] - E[L]) over fixed pairs.

    The pairs of noise and time are drawn once for each action, before the first gradient step: with the weights, and so
    the losses, that the action was sampled with.
    """

    fields_class = FPOFields
    policy_class = FPOPolicy

    policy: FPOPolicy
    cfg: FPOFields

    @torch.no_grad()
    def prepare(self, batch: MiniBatch) -> MiniBatch:
        """Draw the pairs, and keep what their losses are before the first step."""
        num_pairs = self.cfg.flow_num_pairs
        noise = torch.randn_like(batch.actions.unsqueeze(1).expand(-1, num_pairs, -1))
        batch = dataclasses.replace(batch, prepared={"noise": noise, "time": self._draw_time(noise[..., :1])})
        batch.prepared["old_losses"] = self._pair_losses(batch)
        return batch

    def _draw_time(self, like: Tensor) -> Tensor:
        """Draw times from the grid that the sampler takes its steps from. Shape: [batch, num_pairs, 1]."""
        num_steps = self.policy.head.flow.num_steps
        return torch.randint_like(like, num_steps) / num_steps

    def _pair_losses(self, batch: MiniBatch) -> Tensor:
        """Return the loss of each pair with the present weights. Shape: [batch, num_pairs]."""
        return noise_estimation_loss(self._velocity_errors(batch), batch.prepared["time"])

    def _velocity_errors(self, batch: MiniBatch) -> Tensor:
        context, pairs = self.host.context(batch.observations), batch.prepared
        return velocity_errors(self.policy.velocity, context, batch.stored, pairs["noise"], pairs["time"])

    def _log_ratio(self, old_losses: Tensor, pair_losses: Tensor) -> Tensor:
        """Return log r of each action. Shapes: [batch, num_pairs] -> [batch]."""
        return old_losses.mean(dim=-1) - pair_losses.mean(dim=-1)

    def _surrogate(self, log_ratio: Tensor, advantages: Tensor) -> Tensor:
        """Return PPO's loss. Shape of both: [batch]."""
        return -objective.clipped_objective(log_ratio.exp(), advantages, self.host.ppo.clip_param).mean()

    def losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the terms of the objective, and an estimate of the divergence."""
        pair_losses = self._pair_losses(batch)
        log_ratio = self._log_ratio(batch.prepared["old_losses"], pair_losses)
        losses = {
            self.host.value_loss_name: self.value_loss(batch),
            "surrogate": self._surrogate(log_ratio, batch.advantages),
            "flow_matching": pair_losses.mean().detach(),
        }
        return losses, objective.kl_estimate(log_ratio.detach())
