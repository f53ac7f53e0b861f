# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DPMD's update."""

from __future__ import annotations

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.dpmd.config import DPMDFields
from rsl_dpcppo.algorithms.dpmd.losses import mirror_weights, normalized_q
from rsl_dpcppo.algorithms.dpmd.model import DiffusionPolicy
from rsl_dpcppo.flow.score_matching import weighted_matching_loss
from rsl_dpcppo.learning.candidates import repeated
from rsl_dpcppo.learning.diffusion_learner import DiffusionLearner
from rsl_dpcppo.learning.off_policy import Batch, OffPolicyHost

STATISTICS_RATE = 0.001
"""Share of the new batch in the running statistics of Q."""


class DPMDLearner(DiffusionLearner):
    """Mirror descent: a denoising chain is fitted to its own actions, weighed by Q: to pi_old exp(Q / lambda).

    The actions are those that the targets of the critics draw at next states, so that one set of chains serves both.
    """

    fields_class = DPMDFields
    policy_class = DiffusionPolicy

    policy: DiffusionPolicy
    cfg: DPMDFields

    def __init__(self, host: OffPolicyHost, cfg: DPMDFields) -> None:
        """Build the learner; see :class:`~rsl_dpcppo.learning.off_policy.OffPolicyLearner`."""
        self.q_mean, self.q_std = torch.zeros((), device=host.device), torch.ones((), device=host.device)
        super().__init__(host, cfg)

    def tensors(self) -> dict[str, Tensor]:
        """Return the temperature's logarithm, and the running statistics of Q."""
        return {**super().tensors(), "q_mean": self.q_mean, "q_std": self.q_std}

    def next_values(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return Qbar of the best candidate with noise; drawn are all candidates, and the one that was taken."""
        # As published, the old policy is the one that is trained; weights within a state pull harder, and it is the
        # average then, which follows slowly.
        compares = self.cfg.q_norm == "state"
        chain = self._played_chain if compares else self._live_chain
        candidates = self.candidates(chain, batch.next_context, self.cfg.num_target_candidates)
        if compares:
            candidates = self.noisy(candidates)
            taken = self.best(candidates, batch.next_critic_context)
        else:
            taken = self.noisy(self.best(candidates, batch.next_critic_context))
        return self.host.targets.minimum(batch.next_critic_context, taken), (candidates, taken)

    def policy_loss(self, batch: Batch, drawn: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Return the weighted regression on the candidates, or on those that were taken."""
        candidates, taken = drawn
        actions = candidates if self.cfg.q_norm == "state" else taken.unsqueeze(1)
        number = actions.shape[1]
        with torch.no_grad():
            values = self.judged(actions, batch.next_critic_context)
        if self.cfg.q_norm == "state":
            shares = self.weights(values)
            logged, weights = self.adapt_temperature(shares), number * shares
        else:
            logged, weights = {"temperature": self.temperature}, self._weights_in_batch(values)
        rows = actions.reshape(-1, self.num_actions)
        step, noise = self.policy.live.draw_step(len(rows)), torch.randn_like(rows)
        embedding = repeated(self.policy.velocity.embed(batch.next_context), number)
        estimate = self.policy.live.estimate(self.policy.live.noised(rows, noise, step), step, embedding)
        return {"policy": weighted_matching_loss(estimate, noise, weights.flatten()), **logged}

    def _weights_in_batch(self, values: Tensor) -> Tensor:
        """Return the weights of the actions that were taken, by the running statistics of Q. Shape: [batch, 1]."""
        self.q_mean.lerp_(values.mean(), STATISTICS_RATE)
        self.q_std.lerp_(values.std(correction=0), STATISTICS_RATE)
        normalized = normalized_q(values, self.q_mean, self.q_std, has_slip=self.cfg.q_norm == "published")
        return mirror_weights(normalized, self.temperature)
