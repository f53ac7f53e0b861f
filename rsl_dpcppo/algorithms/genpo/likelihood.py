# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PPO with the exact likelihood of a flow that can be run backward: what GenPO and GenPO++ share."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.sampled_learner import SampledLearner


class LikelihoodLearner(SampledLearner):
    """The flow's determinant is a constant, so a likelihood takes one pass backward through the flow."""

    policy: Any
    """Its ``live`` flow is an :class:`~rsl_dpcppo.flow.invertible.InvertibleFlow`."""

    def losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the terms of the objective, and the estimate E[log pi_old - log pi] of the divergence.

        The estimate may be negative; the adaptive step size ignores such.
        """
        flow, context = self.policy.live, self.host.context(batch.observations)
        log_prob = flow.log_prob(flow.inverse(batch.stored, context))
        losses = {
            self.host.value_loss_name: self.value_loss(batch),
            "surrogate": objective.clipped_surrogate(
                log_prob, batch.old_log_prob, batch.advantages, self.host.ppo.clip_param
            ),
            **self.more_losses(log_prob, context),
        }
        return losses, (batch.old_log_prob - log_prob.detach()).mean()

    def more_losses(self, log_prob: Tensor, context: Tensor) -> dict[str, Tensor]:
        """Return the terms that an algorithm adds.

        Args:
            log_prob: log pi of the rollout's actions now. Shape: [batch].
            context: s. Shape: [batch, context_dim].
        """
        return {}
