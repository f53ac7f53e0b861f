# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of DPPO. Defaults are those with which its authors train from scratch (arXiv 2409.00588)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

from rsl_dpcppo.config.checks import check_float, check_no_entropy
from rsl_dpcppo.config.fields import before
from rsl_dpcppo.config.learner import LearnerFields, SampledModelFields
from rsl_dpcppo.config.ppo import NetworkCfg, PPOAlgorithmCfg, RunnerCfg


@dataclass
class DPPOModelFields(SampledModelFields):
    """The fields that DPPO's model adds to those of RSL-RL's. ``flow_steps`` is the number of denoising steps."""

    flow_time_features: int = 16
    flow_frequencies: list[float] = field(default_factory=lambda: [10.0, 1e-3], metadata=before([1.0, 1000.0]))
    """From 1 to 1e-4 radians a step, of which there are ten."""

    denoising_min_std: float = 0.1
    """Smallest standard deviation of a denoising step while training, in actions. This is the exploration."""

    denoising_noise_clip: float = 3.0
    """Largest noise of a denoising step, in standard deviations."""

    denoised_clip: float = 1.0
    """Largest component of the action that a denoising step predicts, and with it of the mean action."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        for name in ("denoising_min_std", "denoising_noise_clip", "denoised_clip"):
            check_float(name, getattr(self, name), minimum=0.0, minimum_excluded=True)


@dataclass
class DPPOFields(LearnerFields):
    """The fields that DPPO adds to those of RSL-RL's PPO."""

    denoising_discount: float = 1.0
    """Discount of the advantage for each denoising step before the last. Fine-tuning takes 0.99."""

    denoising_clip_first: float = 0.1
    """Clip range of the ratio at the first denoising step, from which it grows to ``clip_param`` at the last."""

    denoising_clip_growth: float = 3.0
    """Exponent of that growth."""

    critic_learning_rate: float = 1e-3
    """Step size of the value function, fixed. ``learning_rate`` is the policy's."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("denoising_discount", self.denoising_discount, minimum=0.0, minimum_excluded=True)
        check_float("denoising_clip_first", self.denoising_clip_first, minimum=0.0, minimum_excluded=True)
        check_float("denoising_clip_growth", self.denoising_clip_growth, minimum=0.0, minimum_excluded=True)
        check_float("critic_learning_rate", self.critic_learning_rate, minimum=0.0, minimum_excluded=True)


@dataclass
class DPPOActorCfg(DPPOModelFields, NetworkCfg):
    """The policy of DPPO."""

    activation: str = "relu"


@dataclass
class DPPOAlgorithmCfg(DPPOFields, PPOAlgorithmCfg):
    """DPPO: RSL-RL's fields for the PPO step, and its own."""

    num_learning_epochs: int = 10
    num_mini_batches: int = 20
    clip_param: float = 0.1
    entropy_coef: float = 0.0
    max_grad_norm: float = inf
    use_clipped_value_loss: bool = False
    learning_rate: float = 1e-4
    schedule: str = "fixed"
    normalize_advantage_per_mini_batch: bool = True

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_no_entropy("DPPO", self.entropy_coef)


@dataclass
class DPPORunnerCfg(RunnerCfg):
    """DPPO through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "dppo"

    actor: DPPOActorCfg = field(default_factory=DPPOActorCfg)
    algorithm: DPPOAlgorithmCfg = field(default_factory=DPPOAlgorithmCfg)
