# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Mirrored copies of a mini-batch, by the symmetry function that the user gave RSL-RL."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.learning.batch import MiniBatch


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

    def mirror_stored(self, stored: Tensor, num_actions: int) -> Tensor:
        """Append the mirrored copies of what a policy stored: some tensors side by side, each as wide as an action."""
        parts = [self.mirror_actions(part) for part in stored.split(num_actions, dim=-1)]
        return torch.cat(parts, dim=-1)

    def mirror_observations(self, observations: TensorDict) -> TensorDict:
        """Append the mirrored observations."""
        return self.function(env=self.env, obs=observations, actions=None)[0]

    def mirror_batch(self, batch: MiniBatch) -> MiniBatch:
        """Append the mirrored copies of every transition; what the policy stored is mirrored as the actions are."""
        observations = self.mirror_observations(batch.observations)
        copies = len(observations) // batch.size
        names = ("values", "advantages", "returns", "old_log_prob")
        return dataclasses.replace(
            batch,
            observations=observations,
            stored=self.mirror_stored(batch.stored, batch.actions.shape[-1]),
            actions=self.mirror_actions(batch.actions),
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
