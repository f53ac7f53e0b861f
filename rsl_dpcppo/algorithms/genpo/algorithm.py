# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO's update."""

from __future__ import annotations

from torch import Tensor

from rsl_dpcppo.algorithms.genpo.config import GenPOFields
from rsl_dpcppo.algorithms.genpo.likelihood import LikelihoodLearner
from rsl_dpcppo.algorithms.genpo.losses import compression_loss
from rsl_dpcppo.algorithms.genpo.model import GenPOPolicy


class GenPOLearner(LikelihoodLearner):
    """PPO with the exact likelihood of a flow, over a doubled action whose halves' mean acts.

    The constant determinant makes the entropy of the doubled action a constant: the bonus, estimated on the rollout's
    actions as published, has no gradient on average until the policy has moved away from them.
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

    def more_losses(self, log_prob: Tensor, context: Tensor) -> dict[str, Tensor]:
        """Return the entropy, estimated on the rollout's actions, and the compression loss, on fresh ones."""
        pair = self.policy.live.transport(self.policy.draw_noise(context), context)
        return {"entropy": -log_prob.mean(), "compression": compression_loss(pair)}
