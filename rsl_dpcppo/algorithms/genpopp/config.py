# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of GenPO++. Defaults are those of public code that follows arXiv 2606.06967."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rsl_dpcppo.config.checks import check_float, check_no_entropy
from rsl_dpcppo.config.learner import LearnerFields, SampledModelFields
from rsl_dpcppo.config.ppo import PPO_FIELDS, NetworkCfg, PPOAlgorithmCfg, RunnerCfg


@dataclass
class GenPOPlusPlusModelFields(SampledModelFields):
    """The fields that GenPO++'s model adds to those of RSL-RL's."""

    flow_steps: int = 5
    flow_time_features: int = 8
    flow_frequencies: list[float] = field(default_factory=lambda: [1.0, 8.0])

    flow_history: float = 0.75
    """Share h of the state before last in a solver step. At 1 the solver is of second order; noise is mixed less."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("flow_history", self.flow_history, minimum=0.0, minimum_excluded=True)


@dataclass
class GenPOPlusPlusActorCfg(GenPOPlusPlusModelFields, NetworkCfg):
    """The policy of GenPO++."""

    activation: str = "mish"


@dataclass
class GenPOPlusPlusAlgorithmCfg(LearnerFields, PPOAlgorithmCfg):
    """GenPO++: RSL-RL's fields for the PPO step. The entropy of action and history is a constant: it has no bonus."""

    entropy_coef: float = 0.0

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_no_entropy("GenPO++", self.entropy_coef)


@dataclass
class GenPOPlusPlusRunnerCfg(RunnerCfg):
    """GenPO++ through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "genpopp"
    task_fields: ClassVar[tuple[str, ...]] = tuple(name for name in PPO_FIELDS if name != "entropy_coef")

    actor: GenPOPlusPlusActorCfg = field(default_factory=GenPOPlusPlusActorCfg)
    algorithm: GenPOPlusPlusAlgorithmCfg = field(default_factory=GenPOPlusPlusAlgorithmCfg)
