# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PolicyFlow's update."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.policyflow.config import PolicyFlowFields
from rsl_dpcppo.algorithms.policyflow.losses import brownian_loss
from rsl_dpcppo.algorithms.policyflow.model import PolicyFlowPolicy
from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.gaussian import gaussian_entropy, gaussian_kl, gaussian_log_prob
from rsl_dpcppo.learning.sampled_learner import SampledLearner


class PolicyFlowLearner(SampledLearner):
    """PPO on the noise around a flow's end, as if the flow had moved its end by the change of its velocity.

    At a time t and at x_t = (1 - t) z + t phi, on the straight line between the flow's ends in the rollout, the
    velocity has changed by dv. The ratio of an action a = phi + n is N(n; dv, sigma) / N(n; 0, sigma_old): no flow is
    solved.
    """

    fields_class = PolicyFlowFields
    policy_class = PolicyFlowPolicy
    has_entropy = True

    policy: PolicyFlowPolicy
    cfg: PolicyFlowFields

    @torch.no_grad()
    def prepare(self, batch: MiniBatch) -> MiniBatch:
        """Keep the standard deviation of the rollout, and the log density of its noise."""
        noise = batch.actions - batch.stored.chunk(2, dim=-1)[1]
        std = self.policy.live.log_std.exp().expand_as(noise).clone()
        log_prob = gaussian_log_prob(noise, torch.zeros_like(noise), std)
        return dataclasses.replace(batch, old_log_prob=log_prob, prepared={"noise": noise, "std": std})

    def weights(self) -> dict[str, float]:
        """Return the weights of PPO's losses, the entropy bonus and the Brownian regulariser."""
        return {
            **super().weights(),
            "entropy": -self.host.ppo.entropy_coef,
            "brownian": self.cfg.brownian_coef,
        }

    def losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the terms of the objective, and the divergence of the noise's Gaussian."""
        context = self.host.context(batch.observations)
        start, end = batch.stored.chunk(2, dim=-1)
        time = self._draw_time(start[:, :1])
        point = torch.lerp(start, end, time)
        live, rollouts = self.policy.velocity, self.policy.head.flow.velocity
        velocity = live(point, time, live.embed(context))
        with torch.no_grad():  # what plays is what the rollout was collected with, until the update ends
            old_velocity = rollouts(point, time, rollouts.embed(context))
        moved, std = velocity - old_velocity, self.policy.live.log_std.exp().expand_as(start)
        noise, old_std = batch.prepared["noise"], batch.prepared["std"]
        losses = {
            self.host.value_loss_name: self.value_loss(batch),
            "surrogate": objective.clipped_surrogate(
                gaussian_log_prob(noise, moved, std), batch.old_log_prob, batch.advantages, self.host.ppo.clip_param
            ),
            "entropy": gaussian_entropy(std).mean(),
            "brownian": brownian_loss(velocity, old_velocity, point, time),
        }
        with torch.no_grad():
            divergence = gaussian_kl(torch.zeros_like(moved), old_std, moved, std).mean()
        return losses, divergence

    def _draw_time(self, like: Tensor) -> Tensor:
        """Draw the times that the solver evaluates the field at, and its end. Shape: [batch, 1]."""
        num_times = 2 * self.policy.live.num_steps
        return torch.randint_like(like, num_times + 1) / num_times
