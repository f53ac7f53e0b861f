# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DPPO's update."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.dppo.config import DPPOFields
from rsl_dpcppo.algorithms.dppo.losses import denoising_clips, denoising_discounts
from rsl_dpcppo.algorithms.dppo.model import DPPOPolicy
from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.host import Host
from rsl_dpcppo.learning.sampled_learner import SampledLearner
from rsl_dpcppo.learning.step_size import make_optimizer, set_rate


class DPPOLearner(SampledLearner):
    """PPO on the denoising steps: each pair of an environment step and a denoising step is a sample.

    All denoising steps are trained. There is no entropy bonus, since the steps' standard deviations are fixed.
    """

    fields_class = DPPOFields
    policy_class = DPPOPolicy

    policy: DPPOPolicy
    cfg: DPPOFields

    def __init__(self, host: Host, cfg: DPPOFields) -> None:
        """Build the learner; see :class:`~rsl_dpcppo.learning.sampled_learner.SampledLearner`."""
        super().__init__(host, cfg)
        num_steps = self.policy.live.num_steps
        clips = denoising_clips(num_steps, cfg.denoising_clip_first, host.ppo.clip_param, cfg.denoising_clip_growth)
        self._clips = clips.to(host.device)
        self._discounts = denoising_discounts(num_steps, cfg.denoising_discount).to(host.device)

    def make_optimizer(self, kind: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
        """Return an optimizer with a step size of its own for the value function."""
        policy = {id(parameter) for parameter in self.policy.velocity.parameters()}
        parameters = list(self.host.trained_parameters())
        groups = [
            {"params": [x for x in parameters if id(x) in policy], "lr": self.step_size.tensor},
            {"params": [x for x in parameters if id(x) not in policy], "lr": self.cfg.critic_learning_rate},
        ]
        return make_optimizer(kind, groups)

    def take_rate(self, field: str, value: float) -> None:
        """Go on with another step size than the checkpoint's; the value function's is "critic_learning_rate"."""
        super().take_rate(field, value)
        if field == "critic_learning_rate":
            set_rate(self.optimizer.param_groups[1], value)

    @torch.no_grad()
    def prepare(self, batch: MiniBatch) -> MiniBatch:
        """Keep the log densities of the denoising steps from before the first gradient step."""
        return dataclasses.replace(batch, prepared={"old_log_prob": self._step_log_prob(batch)})

    def _step_log_prob(self, batch: MiniBatch) -> Tensor:
        """Return the log density of each denoising step with the present weights. Shape: [batch, num_steps]."""
        chain = batch.stored.unflatten(-1, (-1, self.policy.head.num_actions))
        return self.policy.live.log_prob(chain, self.host.context(batch.observations))

    def losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the terms of the objective, and an estimate of the divergence."""
        log_prob, old_log_prob = self._step_log_prob(batch), batch.prepared["old_log_prob"]
        advantages = batch.advantages.unsqueeze(-1) * self._discounts
        losses = {
            self.host.value_loss_name: self.value_loss(batch),
            "surrogate": objective.clipped_surrogate(log_prob, old_log_prob, advantages, self._clips),
        }
        return losses, objective.kl_estimate((log_prob - old_log_prob).detach())
