# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of SAC. Defaults are those of arXiv 1812.05905 but for what is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rsl_dpcppo.config.checks import check_float, check_noise
from rsl_dpcppo.config.fields import Fields
from rsl_dpcppo.config.off_policy import OffPolicyFields, OffPolicyRunnerCfg
from rsl_dpcppo.config.ppo import NetworkCfg


@dataclass
class SACModelFields(Fields):
    """The fields that SAC's model adds to those of RSL-RL's."""

    action_scale: float = 1.0
    """Largest component of an action: half of the box's width. Tasks whose actions are offsets of joints, in which PPO
    takes as large ones as it likes, may need a larger one."""

    inference_noise: str = "zero"
    """Noise at play time: "zero" for tanh of the mean, "random", or a seed in digits."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("action_scale", self.action_scale, minimum=0.0, minimum_excluded=True)
        self.inference_noise = check_noise("inference_noise", self.inference_noise)


@dataclass
class SACFields(OffPolicyFields):
    """The fields of SAC."""

    init_temperature: float = 1.0
    """Weight of the entropy that training begins with."""

    temperature_learning_rate: float = 3e-4
    """Step size of the temperature's Adam."""

    target_entropy: float = -1.0
    """Entropy that the temperature holds, in nats for each component of the action."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        for name in ("init_temperature", "temperature_learning_rate"):
            check_float(name, getattr(self, name), minimum=0.0, minimum_excluded=True)
        check_float("target_entropy", self.target_entropy, minimum=-100.0)


@dataclass
class SACActorCfg(SACModelFields, NetworkCfg):
    """The policy of SAC."""

    hidden_dims: list[int] = field(default_factory=lambda: [256, 256])
    activation: str = "relu"


@dataclass
class SACRunnerCfg(OffPolicyRunnerCfg):
    """SAC through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "sac"

    actor: SACActorCfg = field(default_factory=SACActorCfg)
    algorithm: SACFields = field(default_factory=SACFields)  # type: ignore[assignment]
