# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""One mini-batch of a rollout, and its mirrored copies, in a form that both RSL-RL generations are read into."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from rsl_rl.utils import unpad_trajectories
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.policy.flow_model import BASE_ACTION


@dataclass
class MiniBatch:
    """Transitions of a rollout. ``...`` is [batch], or [time, num_envs] for recurrent models."""

    observations: TensorDict
    """Observation groups and the base action. Batch size: [...], or padded trajectories [time, trajectories]."""
    actions: Tensor
    """a. Shape: [..., num_actions]."""
    base_action: Tensor
    """a0, without padding. Shape: [..., num_actions]."""
    values: Tensor
    """V(s) while the rollout was collected. Shape: [...]."""
    advantages: Tensor
    """A(s, a). Shape: [...]."""
    returns: Tensor
    """Targets of the value function. Shape: [...]."""
    old_log_prob: Tensor
    """log p(a | a0, s) while the rollout was collected. Shape: [...]."""
    old_mean: Tensor
    """Mean of the kernel then. Never mirrored. Shape: [..., num_actions]."""
    old_std: Tensor
    """Standard deviation of the kernel then. Never mirrored. Shape: [..., num_actions]."""
    hidden_states: tuple[Any, Any] = (None, None)
    """States of recurrent actor and critic at the starts of the trajectories."""
    masks: Tensor | None = None
    """Valid steps of padded trajectories. Shape: [time, trajectories]."""

    @property
    def size(self) -> int:
        """Length of the first axis."""
        return len(self.old_mean)


def make_batch(
    observations: TensorDict, masks: Tensor | None, *, scalars: dict[str, Tensor], **fields: Any
) -> MiniBatch:
    """Build a mini-batch from the storage's tensors.

    Args:
        observations: Observation groups and the base action.
        masks: Valid steps of padded trajectories, or None.
        scalars: Fields of shape [..., 1], which lose their last axis.
        fields: The other fields, as they are.
    """
    base_action = observations[BASE_ACTION]
    if masks is not None:
        base_action = unpad_trajectories(base_action, masks)
    # RSL-RL computes advantages in inference mode and hands recurrent models a view of them, which autograd refuses.
    squeezed: dict[str, Any] = {name: value.squeeze(-1).clone() for name, value in scalars.items()}
    return MiniBatch(observations=observations, masks=masks, base_action=base_action, **squeezed, **fields)


@dataclass
class Symmetry:
    """The user's symmetry function and what to do with it; RSL-RL's own settings in one form."""

    function: Callable[..., Any]
    """(env, obs, actions) -> both, with the mirrored copies appended along the first axis."""
    env: Any
    """The environment, which the function may ask for the layout of its observations."""
    use_data_augmentation: bool
    """Whether updates and fits run on the mirrored copies too."""
    use_mirror_loss: bool
    """Whether the mirror loss is added to the objective; otherwise it is only logged."""
    mirror_loss_coeff: float
    """Weight of the mirror loss."""

    def mirror_actions(self, actions: Tensor) -> Tensor:
        """Append the mirrored actions. Shape: [batch, num_actions] -> [copies * batch, num_actions]."""
        return self.function(env=self.env, obs=None, actions=actions)[1]

    def mirror_observations(self, observations: TensorDict) -> TensorDict:
        """Append the mirrored observations; the base action is mirrored as the actions are."""
        # Symmetry functions know the environment's groups only.
        mirrored, _ = self.function(env=self.env, obs=observations.exclude(BASE_ACTION), actions=None)
        mirrored[BASE_ACTION] = self.mirror_actions(observations[BASE_ACTION])
        return mirrored

    def mirror_batch(self, batch: MiniBatch) -> MiniBatch:
        """Append the mirrored copies of every transition."""
        observations = self.mirror_observations(batch.observations)
        copies = len(observations) // batch.size
        names = ("values", "advantages", "returns", "old_log_prob")
        return dataclasses.replace(
            batch,
            observations=observations,
            actions=self.mirror_actions(batch.actions),
            base_action=observations[BASE_ACTION],
            **{name: getattr(batch, name).repeat(copies) for name in names},
        )

    def mirror_loss(self, mean: Tensor, size: int) -> Tensor:
        """Return how far the means on mirrored states are from the mirrored means.

        Args:
            mean: Kernel means on original and mirrored states. Shape: [copies * size, num_actions].
            size: Number of original states.
        """
        target = self.mirror_actions(mean[:size]).detach()
        return torch.nn.functional.mse_loss(mean[size:], target[size:])


def make_symmetry(settings: dict[str, Any]) -> Symmetry:
    """Return RSL-RL's symmetry settings, resolved by RSL-RL, in our form."""
    return Symmetry(
        settings["data_augmentation_func"],
        settings["env"],
        bool(settings.get("use_data_augmentation")),
        bool(settings.get("use_mirror_loss")),
        float(settings.get("mirror_loss_coeff") or 0.0),
    )


def average_across_ranks(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in place."""
    flat = torch.nn.utils.parameters_to_vector(tensors)
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    torch.nn.utils.vector_to_parameters(flat, tensors)
