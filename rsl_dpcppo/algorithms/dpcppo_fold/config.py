# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of DP-CPPO with rare folds. Their defaults are ours; docs/research.md says what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg, FlowActorCfg, FlowFields, FlowFitFields
from rsl_dpcppo.config.checks import check_float, check_int
from rsl_dpcppo.config.ppo import PPOAlgorithmCfg

SMALL_ROLLOUT = 8192
"""Samples of a rollout below which RSL-RL's adaptive step size holds learning back."""

RATE_OF_SMALL_ROLLOUTS = 2e-3
"""Step size there."""

ERROR_STATES = 1024
"""States at which the error of a fold is measured."""


@dataclass
class FoldFlowFields(FlowFields):
    """The fields that a flow model of DP-CPPO with rare folds adds to those of RSL-RL's model."""

    noise_share: float = 0.5
    """Share of the first variance that is the base action's: the flow starts from noise of sqrt(noise_share) times
    RSL-RL's ``init_std``, the kernel has the rest. Together they explore as widely as PPO's Gaussian."""

    base_action_scale: float = 0.25
    """Multiple of the base action that the residual sees. Seen small, it is learned from slowly: what all samples
    share arrives, what is chance in one of them does not."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_float("noise_share", self.noise_share, minimum=0.0, minimum_excluded=True, below=1.0)
        check_float("base_action_scale", self.base_action_scale, minimum=0.0)


@dataclass
class DPCPPOFoldFields(FlowFitFields):
    """The fields that DP-CPPO with rare folds adds to those of RSL-RL's PPO."""

    flow_learning_rate: float = 2e-3
    """Step size of the flow's own Adam at the start of a fold, in which it falls linearly to zero."""

    flow_num_epochs: int = 3

    flow_num_mini_batches: int = 40

    fold_interval: int = 10
    """Iterations from one fold to the next, in which the flow stays as it is."""

    fold_states: int = 20_480
    """States that a fold is fitted on, an equal number of each rollout since the last. They are part of checkpoints.
    Models with memory or images are fitted on the last rollout."""

    fold_tolerance: float = 0.5
    """Largest error of a fold, in standard deviations of the kernel, root mean square. Where the flow misses by more,
    it stays as it is until the next fold, which goes on from what this one has learned."""

    noise_kl_coef: float = 0.0
    """Weight of the noise's divergence from its prior in the loss. 0.3 to 1 hold modes that PPO on the noise would give
    up, and cost return on some control tasks."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_int("fold_interval", self.fold_interval, minimum=1)
        check_int("fold_states", self.fold_states, minimum=1)
        check_float("noise_kl_coef", self.noise_kl_coef, minimum=0.0)
        check_float("fold_tolerance", self.fold_tolerance, minimum=0.0, minimum_excluded=True)


@dataclass
class FoldFlowActorCfg(FoldFlowFields, FlowActorCfg):
    """The flow policy whose noise PPO improves as it does the kernel."""


@dataclass
class DPCPPOFoldAlgorithmCfg(DPCPPOFoldFields, PPOAlgorithmCfg):
    """DP-CPPO with rare folds: RSL-RL's fields for the PPO step, ours for the folds."""


@dataclass
class DPCPPOFoldRunnerCfg(DPCPPORunnerCfg):
    """DP-CPPO with rare folds through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "dpcppo_fold"

    actor: FoldFlowActorCfg = field(default_factory=FoldFlowActorCfg)
    algorithm: DPCPPOFoldAlgorithmCfg = field(default_factory=DPCPPOFoldAlgorithmCfg)  # type: ignore[assignment]

    def sized(self, num_envs: int) -> DPCPPOFoldRunnerCfg:
        """Return the agent with a fixed step size where its rollouts are too small for an adaptive one."""
        algorithm = self.algorithm
        if algorithm.schedule == "adaptive" and num_envs * self.num_steps_per_env < SMALL_ROLLOUT:
            algorithm = replace(algorithm, schedule="fixed", learning_rate=RATE_OF_SMALL_ROLLOUTS)
        return replace(self, algorithm=algorithm)
