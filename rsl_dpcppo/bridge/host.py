# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What RSL-RL's PPO answers a learner alike in both generations."""

from __future__ import annotations

from typing import Any

import torch
from rsl_rl.utils import unpad_trajectories
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.host import RND, PPOSettings, Rollout
from rsl_dpcppo.learning.symmetry import Symmetry


class CommonHost:
    """RSL-RL's PPO, asked anew every time: its fields, its storage and its models may be replaced."""

    def __init__(self, alg: Any) -> None:
        """Take RSL-RL's PPO."""
        self._alg = alg
        self._device = torch.empty(0, device=alg.device).device

    @property
    def ppo(self) -> PPOSettings:
        """The fields of PPO."""
        return self._alg

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self._device

    @property
    def optimizer_class(self) -> type[torch.optim.Optimizer]:
        """The class that the field ``optimizer`` names."""
        return type(self._alg.optimizer)

    @property
    def rollout(self) -> Rollout:
        """The rollout that was collected last."""
        return self._alg.storage

    @property
    def rnd(self) -> RND | None:
        """Random network distillation, where the fields ask for it."""
        return self._alg.rnd

    @property
    def is_multi_gpu(self) -> bool:
        """Whether several processes train together."""
        return self._alg.is_multi_gpu

    @property
    def uses_mixed_precision(self) -> bool:
        """Whether the update runs in bfloat16 where that is safe. From RSL-RL 5.5."""
        return getattr(self._alg, "use_mixed_precision", False)

    def average_gradients(self) -> None:
        """Replace the gradients of PPO's parameters by their mean over all processes."""
        self._alg.reduce_parameters()


def make_batch(
    observations: TensorDict, stored_name: str, masks: Tensor | None, *, scalars: dict[str, Tensor], **fields: Any
) -> MiniBatch:
    """Build a mini-batch from the storage's tensors.

    Args:
        observations: Observation groups, and what the policy stored beside them.
        stored_name: The name of the latter.
        masks: Valid steps of padded trajectories, or None.
        scalars: Fields of shape [..., 1], which lose their last axis.
        fields: The other fields, as they are.
    """
    # RSL-RL computes advantages in inference mode and hands recurrent models a view of them, which autograd refuses.
    squeezed: dict[str, Any] = {name: value.squeeze(-1).clone() for name, value in scalars.items()}
    stored = observations[stored_name]
    return MiniBatch(
        observations=observations.exclude(stored_name),
        stored=stored if masks is None else unpad_trajectories(stored, masks),
        masks=masks,
        **squeezed,
        **fields,
    )


def make_symmetry(settings: dict[str, Any]) -> Symmetry:
    """Return RSL-RL's symmetry settings, resolved by RSL-RL, in our form."""
    return Symmetry(
        settings["data_augmentation_func"],
        settings["env"],
        bool(settings.get("use_data_augmentation")),
        bool(settings.get("use_mirror_loss")),
        float(settings.get("mirror_loss_coeff") or 0.0),
    )
