# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of FPO. Defaults are those of arXiv 2507.21053."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

from rsl_dpcppo.config.checks import check_bool, check_float, check_int, check_no_entropy
from rsl_dpcppo.config.fields import before
from rsl_dpcppo.config.learner import LearnerFields, SampledModelFields
from rsl_dpcppo.config.ppo import NetworkCfg, PPOAlgorithmCfg, RunnerCfg


@dataclass
class FPOModelFields(SampledModelFields):
    """The fields that the model of FPO and FPO++ adds to those of RSL-RL's."""

    flow_time_features: int = 8
    flow_frequencies: list[float] = field(default_factory=lambda: [1.0, 8.0], metadata=before([1.0, 1000.0]))

    flow_velocity_scale: float = 0.25
    """What the network's output is multiplied with to be the velocity. FPO takes 0.25, FPO++ 1."""

    action_noise_std: float = 0.0
    """Standard deviation of the noise that each action gets while training, in actions: FPO++ takes 0.02."""

    squash_actions: bool = True
    """Whether the action is tanh of what the flow makes, as FPO has it; FPO++ has not. For actions in [-1, 1]."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("flow_velocity_scale", self.flow_velocity_scale, minimum=0.0, minimum_excluded=True)
        check_float("action_noise_std", self.action_noise_std, minimum=0.0)
        check_bool("squash_actions", self.squash_actions)


@dataclass
class FPOFields(LearnerFields):
    """The fields that FPO adds to those of RSL-RL's PPO."""

    flow_num_pairs: int = 8
    """Number N of pairs of noise and time, drawn once for each action, that its flow-matching loss is taken at."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_int("flow_num_pairs", self.flow_num_pairs, minimum=1)


@dataclass
class FPOActorCfg(FPOModelFields, NetworkCfg):
    """The policy of FPO."""


@dataclass
class FPOAlgorithmCfg(FPOFields, PPOAlgorithmCfg):
    """FPO: RSL-RL's fields for the PPO step, and its own."""

    num_learning_epochs: int = 16
    num_mini_batches: int = 32
    clip_param: float = 0.05
    entropy_coef: float = 0.0
    max_grad_norm: float = inf
    use_clipped_value_loss: bool = False
    learning_rate: float = 3e-4
    schedule: str = "fixed"
    normalize_advantage_per_mini_batch: bool = True

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_no_entropy("FPO", self.entropy_coef)


@dataclass
class FPORunnerCfg(RunnerCfg):
    """FPO through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "fpo"

    actor: FPOActorCfg = field(default_factory=FPOActorCfg)
    algorithm: FPOAlgorithmCfg = field(default_factory=FPOAlgorithmCfg)
