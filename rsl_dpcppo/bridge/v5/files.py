# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What RSL-RL 5.x keeps in its checkpoints."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor


def collect_state(runner: Any) -> dict[str, Any]:
    """Return what RSL-RL saves of the algorithm."""
    return runner.alg.save()


def restore_state(runner: Any, checkpoint: dict[str, Any], for_training: bool) -> None:
    """Load what :func:`collect_state` returned; without the optimizers unless for training."""
    runner.alg.load(checkpoint, None if for_training else {"actor": True, "critic": True}, strict=True)


def train_mode(runner: Any) -> None:
    """Put the networks back into the mode that they train in."""
    runner.alg.train_mode()


def unclamped_std(runner: Any) -> Tensor | None:
    """Return the standard deviation, if it is a parameter that may fall below zero: the first 5.x do not clamp it."""
    distribution = runner.alg.actor.distribution
    return None if hasattr(distribution, "std_range") else getattr(distribution, "std_param", None)


def policy_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of the model with the policy."""
    return checkpoint["actor_state_dict"]


def rebuild_model(kind: Any, fields: dict[str, Any], state: dict[str, Tensor], shape: tuple[int, int]) -> Any:
    """Build a model over vectors; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    # mjlab has one class of configuration for all models.
    unused = ("cnn_cfg", "rnn_type", "rnn_hidden_dim", "rnn_num_layers")
    fields = {name: value for name, value in fields.items() if name not in unused}
    num_observations, num_actions = shape
    observations = TensorDict({"policy": torch.zeros(1, num_observations)}, batch_size=[1])
    return kind(observations, {"actor": ["policy"]}, "actor", num_actions, **fields)
