# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""SDAC's update."""

from __future__ import annotations

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.dpmd.model import DiffusionPolicy
from rsl_dpcppo.algorithms.sdac.config import SDACFields
from rsl_dpcppo.flow.score_matching import reverse_noise, weighted_matching_loss, weighted_noise
from rsl_dpcppo.learning.diffusion_learner import DiffusionLearner
from rsl_dpcppo.learning.off_policy import Batch


class SDACLearner(DiffusionLearner):
    """A denoising chain is fitted to exp(Q / lambda) itself, by actions drawn around noised ones and weighed by it."""

    fields_class = SDACFields
    policy_class = DiffusionPolicy

    policy: DiffusionPolicy
    cfg: SDACFields

    def next_values(self, batch: Batch) -> tuple[Tensor, None]:
        """Return Qbar of the best candidate with noise. Shape: [batch]."""
        actions = self._sample(batch.next_context, batch.next_critic_context)
        return self.host.targets.minimum(batch.next_critic_context, actions), None

    def _sample(self, context: Tensor, critic_context: Tensor) -> Tensor:
        """Take the best of several actions of the policy that is trained, with noise. Shape: [batch, num_actions]."""
        candidates = self.candidates(self._live_chain, context, self.cfg.num_target_candidates)
        return self.noisy(self.best(candidates, critic_context))

    def policy_loss(self, batch: Batch, drawn: None) -> dict[str, Tensor]:
        """Return the regression on the weighted mean of the noise that leads to actions of a high Q."""
        chain = self.policy.live
        with torch.no_grad():
            actions = batch.actions
            if self.cfg.anchor == "policy":
                actions = self._sample(batch.context, batch.critic_context)
            step = chain.draw_step(len(actions))
            noised = chain.noised(actions, torch.randn_like(actions), step)
            noise, weights = self._weighed(noised, step, batch.critic_context)
        logged = self.adapt_temperature(weights)
        estimate = chain.estimate(noised, step, chain.velocity.embed(batch.context))
        mean = weighted_noise(noise, weights)
        return {"policy": weighted_matching_loss(estimate, mean, torch.ones_like(mean[:, 0])), **logged}

    def _weighed(self, noised: Tensor, step: Tensor, critic_context: Tensor) -> tuple[Tensor, Tensor]:
        """Return noise that may be in noised actions, and the weights of the actions that it leaves.

        Args:
            noised: a_t. Shape: [batch, num_actions].
            step: t. Shape: [batch, 1].
            critic_context: What the critics see of the states. Shape: [batch, critic_context_dim].

        Returns:
            Shapes: [batch, num_reverse, num_actions] and [batch, num_reverse].
        """
        chain = self.policy.live
        point, ratio = chain.signal[step] * noised, chain.noise[step]
        noise = reverse_noise(point, ratio, self.cfg.num_reverse, self.cfg.reverse == "truncated")
        actions = (point.unsqueeze(1) - ratio.unsqueeze(1) * noise).clamp(-1.0, 1.0)
        return noise, self.weights(self.judged(actions, critic_context))
