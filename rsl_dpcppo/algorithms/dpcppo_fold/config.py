# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of DP-CPPO with rare folds. Their defaults are ours; docs/research.md says what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg, FlowActorCfg, FlowFields, FlowFitFields
from rsl_dpcppo.config.checks import check_float, check_int
from rsl_dpcppo.config.ppo import MANY_ENVS, PPOAlgorithmCfg

ERROR_STATES = 1024
"""States at which the error of a fold is measured."""

OFTEN: dict[str, Any] = {"fold_interval": 10, "flow_num_epochs": 2, "fold_states": 20_480}
"""Frequent and brief folds, for few environments and for runs that are over after some hundred iterations."""

FEW: dict[str, Any] = {"last_epoch_kl": 4.0, "fold_tolerance": 2.0, **OFTEN}
"""Settings for few environments: their mini-batches say little of the divergence, and the kernel is small."""

KERNEL_OF_FEW = 0.3
"""``init_std`` for few environments. The noise, of deviation one, explores for the most part, and the policy spreads in
all as PPO's Gaussian does."""

USUAL_CLIP = 0.2
"""The ``clip_param`` that suits the interval of ``OFTEN``."""

LARGEST_RATE = 3e-3
"""Step size that following the last epoch does not exceed. A small clip of the ratio keeps the divergence low whatever
the step size, and with RSL-RL's bound of 0.01 it rose until the policy was lost (BallInCupCatch of EnvPool)."""


@dataclass
class DPCPPOFoldModelFields(FlowFields):
    """The fields that a flow model with rare folds adds to those of RSL-RL's model."""

    flow_hidden_dims: list[int] = field(default_factory=lambda: [200, 100])
    """Widths of the velocity field's last hidden layers, which see base action and time. With one of them folds fit as
    well, and policies return less on Multi-Goal."""

    flow_context_dims: list[int] = field(default_factory=lambda: [400])
    """Widths of the layers before those, over the observation alone. They run once for each base action, the others at
    every solver step: with three layers that are split in this way acting takes half the time."""

    flow_activation: str = "swish"
    """Activation of the velocity field, by RSL-RL's names, whatever the task's networks have. With "swish" folds miss
    by less than with "elu", also after a hundred of them, and sampling is faster on a CPU."""

    @classmethod
    def like_network(cls, hidden_dims: Sequence[int], activation: str) -> dict[str, Any]:
        """Return the fields of a flow that has the widths of a task's network, and its own activation.

        The last two layers see base action and time.
        """
        return {"flow_context_dims": list(hidden_dims[:-2]), "flow_hidden_dims": list(hidden_dims[-2:])}


@dataclass
class DPCPPOFoldFields(FlowFitFields):
    """The fields that DP-CPPO with rare folds adds to those of RSL-RL's PPO."""

    flow_learning_rate: float = 5e-3
    """Step size of the flow's own Adam at the start of a fold, in which it falls linearly to zero."""

    flow_num_epochs: int = 10
    """Passes of a fold over its states. Agents of tasks with less than 256 environments have 2."""

    flow_num_mini_batches: int = 40

    fold_interval: int = 50
    """Iterations from one fold to the next, in which the flow stays as it is. A fold sets the last layers of mu and nu
    to zero, and PPO learns them anew. Agents of tasks with less than 256 environments have 10 for a ``clip_param`` of
    0.2, and more in proportion for a smaller one, which makes the policy slow. A fold that is to take in more needs
    more ``flow_num_epochs``: see what it misses in the log, ``fold_error``."""

    fold_states: int = 10_240
    """States that a fold is fitted on, an equal number of each rollout since the last. They are part of checkpoints.
    Models with memory or images are fitted on the last rollout. Agents of tasks with less than 256 environments have
    20,480."""

    fold_tolerance: float = 0.5
    """Largest error of a fold, in standard deviations of the kernel, root mean square. Where the flow misses by more,
    it stays as it is until the next fold, which goes on from what this one has learned. One that is made and
    misses by more than one widens the kernel to what it missed."""

    last_epoch_kl: float = 0.0
    """With ``schedule`` "adaptive": the divergence that the last epoch of an iteration aims at, in multiples of
    ``desired_kl``, and clip_param^2 at most. The step size then stays as it is within an iteration, and does not
    exceed 0.003. 0 is RSL-RL's rule: it follows ``desired_kl`` from mini-batch to mini-batch, and learns less from
    rollouts of a few thousand samples. Agents of tasks with less than 256 environments have 4."""

    noise_kl_coef: float = 0.0
    """Weight of KL(p(n | s), N(0, I)) in the loss. 0.3 to 3 hold modes that PPO on the noise would give up, and cost
    return on some control tasks."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_int("fold_interval", self.fold_interval, minimum=1)
        check_int("fold_states", self.fold_states, minimum=1)
        check_float("last_epoch_kl", self.last_epoch_kl, minimum=0.0)
        check_float("noise_kl_coef", self.noise_kl_coef, minimum=0.0)
        check_float("fold_tolerance", self.fold_tolerance, minimum=0.0, minimum_excluded=True)


@dataclass
class DPCPPOFoldActorCfg(DPCPPOFoldModelFields, FlowActorCfg):
    """The flow policy of DP-CPPO with rare folds."""


@dataclass
class DPCPPOFoldAlgorithmCfg(DPCPPOFoldFields, PPOAlgorithmCfg):
    """DP-CPPO with rare folds: RSL-RL's fields for the PPO step, ours for the folds."""


@dataclass
class DPCPPOFoldRunnerCfg(DPCPPORunnerCfg):
    """DP-CPPO with rare folds through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "dpcppo_fold"

    actor: DPCPPOFoldActorCfg = field(default_factory=DPCPPOFoldActorCfg)
    algorithm: DPCPPOFoldAlgorithmCfg = field(default_factory=DPCPPOFoldAlgorithmCfg)  # type: ignore[assignment]

    def sized(self, num_envs: int) -> DPCPPOFoldRunnerCfg:
        """Return the agent with the settings that suit few environments, if they are few; other fields are left."""
        if num_envs >= MANY_ENVS:
            return self
        slower = max(1.0, USUAL_CLIP / self.algorithm.clip_param)
        interval = round(slower * OFTEN["fold_interval"])
        algorithm = replace(self.algorithm, **{**FEW, "fold_interval": interval})
        return replace(self, actor=replace(self.actor, init_std=KERNEL_OF_FEW), algorithm=algorithm)
