# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What off-policy algorithms share that train a denoising chain (arXiv 2502.00361)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from rsl_dpcppo.flow.score_matching import weights_kl
from rsl_dpcppo.learning.candidates import choose, repeated
from rsl_dpcppo.learning.compilation import Compiled
from rsl_dpcppo.learning.off_policy import OffPolicyHost, OffPolicyLearner, descend

PUBLISHED_ENTROPY = -0.9
"""Entropy for each component of the action at which the published temperature would rest."""


def noise_entropy(std: Tensor, num_actions: int) -> Tensor:
    """Return the entropy of Gaussian noise, (d / 2) log(2 pi e std^2), in nats. Shape: []."""
    return 0.5 * num_actions * (2.0 * math.pi * math.e * std.square()).log()


def scheduled_temperature_loss(log_temperature: Tensor, noise_scale: float, num_actions: int) -> Tensor:
    """Return -log alpha (H_t - H~), by which the published temperature falls.

    H~ is the entropy of the noise that is added to actions, held fixed: no data is in it, so that alpha is a schedule.

    Args:
        log_temperature: log alpha. Shape: [].
        noise_scale: Standard deviation of the noise, times alpha.
        num_actions: Width d of the action.
    """
    entropy = noise_entropy(noise_scale * log_temperature.detach().exp(), num_actions)
    return -log_temperature * (PUBLISHED_ENTROPY * num_actions - entropy)


def dual_temperature_loss(log_temperature: Tensor, kl: Tensor, target: float) -> Tensor:
    """Return alpha (KL* - KL), whose descent holds the divergence of the weights from equal ones at KL*.

    Args:
        log_temperature: log alpha. Shape: [].
        kl: Divergence with the present alpha, which is held fixed. Shape: [].
        target: KL* in nats.
    """
    return log_temperature.exp() * (target - kl.detach())


class DiffusionLearner(OffPolicyLearner):
    """Best-of-N acting, a temperature, and weights of actions by their Q."""

    def __init__(self, host: OffPolicyHost, cfg: Any) -> None:
        """Build the learner; see :class:`~rsl_dpcppo.learning.off_policy.OffPolicyLearner`."""
        super().__init__(host, cfg)
        self._acting_chain = Compiled(self.policy.head.flow, self.mode)
        # A step that is recorded as a whole has its chains in the recording.
        inside = self.mode if self.mode == "inductor" else "none"
        self._played_chain = Compiled(self.policy.head.flow, inside)
        self._live_chain = Compiled(self.policy.live, inside)

    @property
    def played_decay(self) -> float:
        """Share of the weights that play which is kept at each step of the policy."""
        return self.cfg.target_decay

    @property
    def temperature(self) -> Tensor:
        """The temperature alpha. Shape: []."""
        return self.log_temperature.detach().exp()

    @property
    def noise_std(self) -> Tensor:
        """Standard deviation of the noise added to actions. Shape: []."""
        alpha = self.temperature
        return self.cfg.noise_scale * (alpha if self.cfg.temperature == "schedule" else torch.ones_like(alpha))

    def actor_rate(self, num_steps: int) -> float:
        """Return the policy's step size, which falls linearly for a while."""
        first, last = self.cfg.actor_rate_decay
        share = min(max((num_steps - first) / (last - first), 0.0), 1.0)
        return (1.0 - share) * self.cfg.actor_learning_rate + share * self.cfg.actor_final_learning_rate

    def explore(self, context: Tensor, critic_context: Tensor) -> Tensor:
        """Take the best of several actions of the averaged policy, with noise. Shape: [num_envs, num_actions]."""
        candidates = self.candidates(self._acting_chain, context, self.policy.num_candidates)
        return self.noisy(self.best(candidates, critic_context))

    def candidates(self, chain: Compiled, context: Tensor, number: int) -> Tensor:
        """Draw actions of each state. Shape: [batch, number, num_actions]."""
        many = repeated(context, number)
        noise = torch.randn(len(many), self.policy.head.candidate_width, device=many.device)
        return chain(noise, many).clamp(-1.0, 1.0).view(-1, number, self.num_actions)

    def noisy(self, actions: Tensor) -> Tensor:
        """Return actions with noise, within the box. Any shape."""
        return (actions + self.noise_std * torch.randn_like(actions)).clamp(-1.0, 1.0)

    def judged(self, actions: Tensor, critic_context: Tensor) -> Tensor:
        """Return min(Q1, Q2) of several actions of each state.

        Args:
            actions: a. Shape: [batch, number, num_actions].
            critic_context: What the critics see of the states. Shape: [batch, critic_context_dim].

        Returns:
            Values. Shape: [batch, number].
        """
        return self.host.critics.minimum_of_several(critic_context, actions)

    def best(self, candidates: Tensor, critic_context: Tensor) -> Tensor:
        """Return the candidate that the critics like best. Shape: [batch, num_actions]."""
        if candidates.shape[1] == 1:
            return candidates[:, 0]
        return choose(candidates, self.judged(candidates, critic_context))

    def weights(self, values: Tensor) -> Tensor:
        """Return softmax of q_scale Q / alpha over the actions of each state. Shape: [batch, number]."""
        return (self.cfg.q_scale / self.temperature * values).softmax(dim=-1)

    def adapt_temperature(self, weights: Tensor) -> dict[str, Tensor]:
        """Move the temperature by its dual, if it has one, and return what is logged. Shape: [batch, number]."""
        kl, before = weights_kl(weights), self.temperature
        if self.cfg.temperature == "dual":
            descend(self.temperature_optimizer, dual_temperature_loss(self.log_temperature, kl, self.cfg.kl_target))
        return {"weights_kl": kl, "temperature": before}

    def after_update(self) -> None:
        """Move the temperature along its schedule, once in a while."""
        cfg = self.cfg
        if cfg.temperature == "schedule" and self.num_updates % cfg.temperature_interval == 0:
            loss = scheduled_temperature_loss(self.log_temperature, cfg.noise_scale, self.num_actions)
            descend(self.temperature_optimizer, loss)
