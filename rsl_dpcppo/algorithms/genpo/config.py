# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of GenPO. Defaults are those of its paper (arXiv 2505.18763) and, where that is silent, of its code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rsl_dpcppo.config.checks import check_float
from rsl_dpcppo.config.fields import before
from rsl_dpcppo.config.learner import LearnerFields, SampledModelFields
from rsl_dpcppo.config.ppo import PPO_FIELDS, NetworkCfg, PPOAlgorithmCfg, RunnerCfg


@dataclass
class GenPOModelFields(SampledModelFields):
    """The fields that GenPO's model adds to those of RSL-RL's."""

    flow_steps: int = 5
    flow_time_features: int = 32
    flow_frequencies: list[float] = field(default_factory=lambda: [1.0, 1e-4], metadata=before([1.0, 1000.0]))

    flow_mix: float = 0.9
    """Share p of itself that each half of the doubled action keeps when the halves are mixed after a step. The public
    code takes 0.95."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("flow_mix", self.flow_mix, minimum=0.0, below=1.0, minimum_excluded=True)


@dataclass
class GenPOFields(LearnerFields):
    """The fields that GenPO adds to those of RSL-RL's PPO."""

    compression_coef: float = 0.01
    """Weight nu of the compression loss, which draws the halves of the doubled action together."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("compression_coef", self.compression_coef, minimum=0.0)


@dataclass
class GenPOActorCfg(GenPOModelFields, NetworkCfg):
    """The policy of GenPO."""

    activation: str = "mish"


@dataclass
class GenPOAlgorithmCfg(GenPOFields, PPOAlgorithmCfg):
    """GenPO: RSL-RL's fields for the PPO step, and its own."""


@dataclass
class GenPORunnerCfg(RunnerCfg):
    """GenPO through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "genpo"
    task_fields: ClassVar[tuple[str, ...]] = PPO_FIELDS

    actor: GenPOActorCfg = field(default_factory=GenPOActorCfg)
    algorithm: GenPOAlgorithmCfg = field(default_factory=GenPOAlgorithmCfg)
