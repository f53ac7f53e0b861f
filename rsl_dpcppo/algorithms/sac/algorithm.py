# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC's update."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rsl_dpcppo.algorithms.sac.config import SACFields
from rsl_dpcppo.algorithms.sac.losses import soft_policy_loss, temperature_loss
from rsl_dpcppo.algorithms.sac.model import SACPolicy
from rsl_dpcppo.learning.off_policy import Batch, OffPolicyLearner, descend


class SACLearner(OffPolicyLearner):
    """Soft actor-critic: a squashed Gaussian that maximises Q plus its entropy, with a learned temperature."""

    fields_class = SACFields
    policy_class = SACPolicy

    policy: SACPolicy
    cfg: SACFields

    def explore(self, context: Tensor, critic_context: Tensor) -> Tensor:
        """Sample from the policy. Shape: [num_envs, num_actions]."""
        return self.policy.sample(context)[0]

    def next_values(self, batch: Batch) -> tuple[Tensor, None]:
        """Return min Qbar(s', a') - alpha log pi(a'|s'). Shape: [batch]."""
        drawn = self._draw(batch.next_context)
        values = self.host.targets.minimum(batch.next_critic_context, drawn.actions)
        return values - self.log_temperature.exp() * drawn.log_prob, None

    def policy_loss(self, batch: Batch, drawn: Any) -> dict[str, Tensor]:
        """Return the policy's loss, and move the temperature."""
        sample = self._draw(batch.context)
        temperature = self.log_temperature.detach().exp()
        values = self.host.critics.minimum(batch.critic_context, sample.actions)
        target_entropy = self.cfg.target_entropy * self.num_actions
        descend(self.temperature_optimizer, temperature_loss(self.log_temperature, sample.log_prob, target_entropy))
        return {
            "policy": soft_policy_loss(sample.log_prob, values, temperature),
            "entropy": -sample.log_prob.mean(),
            "temperature": temperature,
        }

    def _draw(self, context: Tensor) -> Any:
        """Draw actions and their log densities, as written: the step that this is part of may be recorded."""
        return self.policy.draw(self.policy.draw_noise(context), context)
