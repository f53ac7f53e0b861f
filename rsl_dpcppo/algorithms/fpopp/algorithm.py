# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""FPO++'s update."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rsl_dpcppo.algorithms.fpo.algorithm import FPOLearner
from rsl_dpcppo.algorithms.fpopp.config import FPOPlusPlusFields
from rsl_dpcppo.algorithms.fpopp.losses import aspo_surrogate, clamped_log_ratio
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.step_size import make_optimizer

TIME_RANGE = (0.005, 0.995)
"""Range that the times of the pairs are drawn from."""


class FPOPlusPlusLearner(FPOLearner):
    """FPO with one ratio for each pair, a trust region for A <= 0, and averaged weights at play time."""

    fields_class = FPOPlusPlusFields

    cfg: FPOPlusPlusFields

    def make_optimizer(self, kind: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
        """Return AdamW, whatever class RSL-RL's fields name."""
        groups = [{"params": self.host.trained_parameters(), "lr": self.step_size.tensor}]
        return make_optimizer(torch.optim.AdamW, groups, weight_decay=self.cfg.weight_decay)

    def _draw_time(self, like: Tensor) -> Tensor:
        """Draw times from nearly the whole length of the flow. Shape: [batch, num_pairs, 1]."""
        return torch.empty_like(like).uniform_(*TIME_RANGE)

    def _pair_losses(self, batch: MiniBatch) -> Tensor:
        """Return ||u - (a - eps)||^2 / sqrt(d) of each pair. Shape: [batch, num_pairs]."""
        return self._velocity_errors(batch).square().sum(dim=-1) / math.sqrt(batch.actions.shape[-1])

    def _log_ratio(self, old_losses: Tensor, pair_losses: Tensor) -> Tensor:
        """Return log r of each pair. Shape: [batch, num_pairs]."""
        cfg = self.cfg
        return clamped_log_ratio(old_losses, pair_losses, cfg.flow_loss_clamp, cfg.flow_log_ratio_clamp)

    def _surrogate(self, log_ratio: Tensor, advantages: Tensor) -> Tensor:
        """Return the asymmetric objective's loss. Shapes: [batch, num_pairs] and [batch]."""
        return aspo_surrogate(log_ratio, advantages.unsqueeze(-1), self.host.ppo.clip_param)

    @property
    def played_ema_decay(self) -> float:
        """Share of the averaged weights that is kept in each iteration."""
        return self.cfg.flow_ema_decay
