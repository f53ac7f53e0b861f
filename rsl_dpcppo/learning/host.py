# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a learner asks of the framework that hosts it. :mod:`rsl_dpcppo.bridge` answers, for both RSL-RL generations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.policy import FlowPolicy
from rsl_dpcppo.learning.symmetry import Symmetry


class PPOSettings(Protocol):
    """RSL-RL's fields of PPO. Read at every use: whoever trains may change them in between."""

    clip_param: float
    desired_kl: float | None
    entropy_coef: float
    learning_rate: float
    normalize_advantage_per_mini_batch: bool
    num_learning_epochs: int
    num_mini_batches: int
    schedule: str
    use_clipped_value_loss: bool
    value_loss_coef: float


class Rollout(Protocol):
    """RSL-RL's storage of a rollout. Shape of its tensors: [num_steps, num_envs, ...]."""

    observations: TensorDict
    """Observation groups, and what the policy stored beside them."""
    rewards: Tensor
    """What the environment gave, with RSL-RL's additions."""
    dones: Tensor
    """1 where an episode ended."""
    values: Tensor
    """V(s) while it was collected."""
    returns: Tensor
    """Targets of the value function."""
    advantages: Tensor
    """A(s, a)."""

    def clear(self) -> None:
        """Make room for the next rollout."""


class RND(Protocol):
    """RSL-RL's random network distillation."""

    predictor: nn.Module
    target: nn.Module
    state_normalizer: nn.Module
    update_counter: int

    def get_rnd_state(self, observations: TensorDict) -> Tensor:
        """Return what the networks see. Shape: [batch, size]."""


class Host(Protocol):
    """PPO of the installed RSL-RL, in one form for both generations."""

    @property
    def ppo(self) -> PPOSettings:
        """The fields of PPO."""

    @property
    def policy(self) -> FlowPolicy:
        """The flow policy in the host's model."""

    @property
    def device(self) -> torch.device:
        """Where the networks are."""

    @property
    def optimizer_class(self) -> type[torch.optim.Optimizer]:
        """The class that the field ``optimizer`` names."""

    @property
    def rollout(self) -> Rollout:
        """The rollout that was collected last."""

    @property
    def rnd(self) -> RND | None:
        """Random network distillation, where the fields ask for it."""

    @property
    def rnd_optimizer(self) -> torch.optim.Optimizer:
        """Optimizer of RND's predictor."""

    @property
    def is_recurrent(self) -> bool:
        """Whether policy or value function has a memory."""

    @property
    def is_multi_gpu(self) -> bool:
        """Whether several processes train together."""

    @property
    def uses_mixed_precision(self) -> bool:
        """Whether the update runs in bfloat16 where that is safe."""

    @property
    def value_loss_name(self) -> str:
        """What the logger calls the value function's loss."""

    def networks(self) -> tuple[nn.Module, ...]:
        """Return the modules that hold all weights and normalisers."""

    def trained_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over what PPO's step trains: policy and value function, but for what the policy keeps out."""

    def symmetry(self) -> Symmetry | None:
        """Return the user's symmetry, where the fields ask for it."""

    def mini_batches(self, num_mini_batches: int, num_epochs: int) -> Iterator[MiniBatch]:
        """Iterate over the rollout, shuffled once for all epochs."""

    def context(self, observations: TensorDict, masks: Tensor | None = None, hidden_state: Any = None) -> Tensor:
        """Return s, what the flow sees of the observations. Shape: [..., context_dim], without padding.

        Args:
            observations: Observation groups, or padded trajectories [time, trajectories].
            masks: Valid steps of padded trajectories. Shape: [time, trajectories].
            hidden_state: State of a recurrent encoder at the trajectories' starts.
        """

    def kernel(self, batch: MiniBatch) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the Gaussian around what was stored. Shapes: [..., num_actions].

        For policies with :attr:`~rsl_dpcppo.learning.policy.FlowPolicy.is_gaussian`.
        """

    def kernel_std(self) -> Tensor:
        """Return the Gaussian's standard deviation. Shape: [num_actions]."""

    def widen_kernel(self, factor: Tensor) -> None:
        """Multiply the Gaussian's standard deviation, if it is trained. Shape: []."""

    def values(self, batch: MiniBatch) -> Tensor:
        """Return V(s). Shape: [...]."""

    def clip_gradients(self) -> None:
        """Clip the gradients' norm as the field ``max_grad_norm`` says."""

    def average_gradients(self) -> None:
        """Replace the gradients of PPO's parameters by their mean over all processes."""

    def update_normalizers(self) -> None:
        """Update the observation statistics from the rollout."""
