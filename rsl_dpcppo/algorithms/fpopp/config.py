# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of FPO++. Defaults are those of arXiv 2602.02481."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rsl_dpcppo.algorithms.fpo.config import FPOActorCfg, FPOFields
from rsl_dpcppo.config.checks import check_float, check_int, check_no_entropy
from rsl_dpcppo.config.fields import before
from rsl_dpcppo.config.ppo import MOST_ITERATIONS, PPOAlgorithmCfg, RunnerCfg


@dataclass
class FPOPlusPlusFields(FPOFields):
    """The fields that FPO++ adds to those of RSL-RL's PPO."""

    flow_num_pairs: int = 16

    flow_loss_clamp: float = 20.0
    """Largest flow-matching loss that is told apart from others."""

    flow_log_ratio_clamp: float = 10.0
    """Largest logarithm of a ratio; its gradient passes the clamp."""

    flow_ema_decay: float = 0.95
    """Share of the averaged weights, which act at play time, kept in each iteration. 0 plays what was trained."""

    flow_ema_start: int = field(default=500, metadata=before(0))
    """Iterations until the average begins; what was trained plays until then."""

    weight_decay: float = 1e-4
    """Weight decay of AdamW."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("flow_loss_clamp", self.flow_loss_clamp, minimum=0.0, minimum_excluded=True)
        check_float("flow_log_ratio_clamp", self.flow_log_ratio_clamp, minimum=0.0, minimum_excluded=True)
        check_float("flow_ema_decay", self.flow_ema_decay, minimum=0.0, below=1.0)
        check_int("flow_ema_start", self.flow_ema_start, minimum=0, maximum=MOST_ITERATIONS)
        check_float("weight_decay", self.weight_decay, minimum=0.0)


@dataclass
class FPOPlusPlusActorCfg(FPOActorCfg):
    """The policy of FPO++."""

    flow_steps: int = 64
    flow_velocity_scale: float = 1.0
    action_noise_std: float = field(default=0.02, metadata=before(0.0))
    squash_actions: bool = False
    inference_noise: str = "zero"


@dataclass
class FPOPlusPlusAlgorithmCfg(FPOPlusPlusFields, PPOAlgorithmCfg):
    """FPO++: RSL-RL's fields for the PPO step, and its own."""

    num_learning_epochs: int = 16
    clip_param: float = 0.05
    entropy_coef: float = 0.0
    use_clipped_value_loss: bool = False
    learning_rate: float = 1e-4
    schedule: str = "fixed"

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_no_entropy("FPO++", self.entropy_coef)


@dataclass
class FPOPlusPlusRunnerCfg(RunnerCfg):
    """FPO++ through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "fpopp"

    actor: FPOPlusPlusActorCfg = field(default_factory=FPOPlusPlusActorCfg)
    algorithm: FPOPlusPlusAlgorithmCfg = field(default_factory=FPOPlusPlusAlgorithmCfg)
