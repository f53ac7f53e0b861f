# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of PolicyFlow. Defaults are those of arXiv 2602.01156 and its code but for what is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rsl_dpcppo.config.checks import check_float
from rsl_dpcppo.config.learner import LearnerFields, SampledModelFields
from rsl_dpcppo.config.ppo import PPO_FIELDS, NetworkCfg, PPOAlgorithmCfg, RunnerCfg


@dataclass
class PolicyFlowModelFields(SampledModelFields):
    """The fields that PolicyFlow's model adds to those of RSL-RL's."""

    flow_time_features: int = 16
    flow_frequencies: list[float] = field(default_factory=lambda: [6.0, 200.0])
    """The published ones are drawn, 2 pi N(0, 16^2); these span as much."""

    init_std: float = 1.0
    """Standard deviation sigma around the flow's end that exploration starts from, in actions."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("init_std", self.init_std, minimum=0.0, minimum_excluded=True)


@dataclass
class PolicyFlowFields(LearnerFields):
    """The fields that PolicyFlow adds to those of RSL-RL's PPO."""

    brownian_coef: float = 0.01
    """Weight of the Brownian regulariser, which lets the flow spread as Brownian motion does, and so holds modes. The
    authors take 0.0002 to 0.008 on robots, and 0.25 on a task with several goals."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("brownian_coef", self.brownian_coef, minimum=0.0)


@dataclass
class PolicyFlowActorCfg(PolicyFlowModelFields, NetworkCfg):
    """The policy of PolicyFlow."""


@dataclass
class PolicyFlowAlgorithmCfg(PolicyFlowFields, PPOAlgorithmCfg):
    """PolicyFlow: RSL-RL's fields for the PPO step, and its own. The entropy is that of the noise around the flow."""


@dataclass
class PolicyFlowRunnerCfg(RunnerCfg):
    """PolicyFlow through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "policyflow"
    task_fields: ClassVar[tuple[str, ...]] = PPO_FIELDS

    actor: PolicyFlowActorCfg = field(default_factory=PolicyFlowActorCfg)
    algorithm: PolicyFlowAlgorithmCfg = field(default_factory=PolicyFlowAlgorithmCfg)
