# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""FPO++'s update."""

from __future__ import annotations

import math
from typing import Any

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
    _num_updates = 0

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
        """Share of the averaged weights that is kept in this iteration: none until the average begins."""
        return self.cfg.flow_ema_decay if self._num_updates > self.cfg.flow_ema_start else 0.0

    def learn(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Learn, and count."""
        self._num_updates += 1
        return super().learn()

    def more_state(self) -> dict[str, Any]:
        """Return the number of updates too."""
        return {**super().more_state(), "num_updates": self._num_updates}

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`more_state` returned; runs that did not count averaged from the first update on."""
        super().load_more_state(state)
        self._num_updates = state.get("num_updates", self.cfg.flow_ema_start)
