# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Its fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rsl_dpcppo.config import LearnerFields, NetworkCfg, PPOAlgorithmCfg, RunnerCfg, SampledModelFields
from rsl_dpcppo.config.checks import check_float


@dataclass
class ToyFields(LearnerFields):
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_float("temperature", self.temperature, minimum=0.0, minimum_excluded=True)


@dataclass
class ToyActorCfg(SampledModelFields, NetworkCfg):
    pass


@dataclass
class ToyAlgorithmCfg(ToyFields, PPOAlgorithmCfg):
    entropy_coef: float = 0.0
    learning_rate: float = 1e-3
    schedule: str = "fixed"


@dataclass
class ToyRunnerCfg(RunnerCfg):
    name: ClassVar[str] = "toy"

    actor: ToyActorCfg = field(default_factory=ToyActorCfg)
    algorithm: ToyAlgorithmCfg = field(default_factory=ToyAlgorithmCfg)
