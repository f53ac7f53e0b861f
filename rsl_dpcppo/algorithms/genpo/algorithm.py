# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO's update."""

from __future__ import annotations

from torch import Tensor

from rsl_dpcppo.algorithms.genpo.config import GenPOFields
from rsl_dpcppo.algorithms.genpo.losses import compression_loss
from rsl_dpcppo.algorithms.genpo.model import GenPOPolicy
from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.sampled_learner import SampledLearner


class GenPOLearner(SampledLearner):
    """PPO with the exact likelihood of a flow, over a doubled action whose halves' mean acts.

    The flow's determinant is a constant (:class:`~rsl_dpcppo.flow.coupling.CouplingFlow`), so a likelihood takes one
    pass backward through the flow. It also makes the entropy of the doubled action a constant: the bonus, estimated on
    the rollout's actions as published, has no gradient on average until the policy has moved away from them.
    """

    fields_class = GenPOFields
    policy_class = GenPOPolicy
    has_entropy = True

    policy: GenPOPolicy
    cfg: GenPOFields

    def weights(self) -> dict[str, float]:
        """Return the weights of PPO's losses, the entropy bonus and the compression loss."""
        return {
            **super().weights(),
            "entropy": -self.host.ppo.entropy_coef,
            "compression": self.cfg.compression_coef,
        }

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
            "entropy": -log_prob.mean(),
            "compression": compression_loss(flow.transport(self.policy.draw_noise(context), context)),
        }
        return losses, (batch.old_log_prob - log_prob.detach()).mean()
