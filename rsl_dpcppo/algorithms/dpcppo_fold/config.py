# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of DP-CPPO with rare folds. Their defaults are ours; docs/research.md says what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPOFields, DPCPPORunnerCfg
from rsl_dpcppo.config.checks import check_float, check_int
from rsl_dpcppo.config.ppo import PPOAlgorithmCfg
from rsl_dpcppo.errors import ConfigError


@dataclass
class DPCPPOFoldFields(DPCPPOFields):
    """The fields that DP-CPPO with rare folds adds to those of RSL-RL's PPO."""

    score_coef: float = 0.0
    """Weight of the score regulariser (15). There is no diffusion to hold back: the targets have no kernel noise."""

    flow_num_mini_batches: int = 20

    flow_ema_decay: float = 0.99

    flow_noise: str = "kept"

    fold_interval: int = 10
    """Iterations from one fold to the next, while which the flow stays as it is and PPO trains the residual on it."""

    fold_states: int = 20_480
    """States that a fold is fitted on, an equal number of each rollout since the last. They are part of checkpoints."""

    fold_target_noise: float = 0.0
    """Share of the kernel's standard deviation that the targets have as noise. 1 is the paper's, which widens the flow
    at every fold."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_int("fold_interval", self.fold_interval, minimum=1)
        check_int("fold_states", self.fold_states, minimum=1)
        check_float("fold_target_noise", self.fold_target_noise, minimum=0.0)
        if self.flow_target != "fresh":
            raise ConfigError(
                f"flow_target is {self.flow_target!r}; older rollouts' base actions are not stored: it must be 'fresh'."
            )


@dataclass
class DPCPPOFoldAlgorithmCfg(DPCPPOFoldFields, PPOAlgorithmCfg):
    """DP-CPPO with rare folds: RSL-RL's fields for the conditional PPO step, ours for the folds."""


@dataclass
class DPCPPOFoldRunnerCfg(DPCPPORunnerCfg):
    """DP-CPPO with rare folds through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "dpcppo_fold"

    algorithm: DPCPPOFoldAlgorithmCfg = field(default_factory=DPCPPOFoldAlgorithmCfg)  # type: ignore[assignment]
