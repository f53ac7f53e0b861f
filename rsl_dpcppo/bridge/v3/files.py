# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What RSL-RL 3.x keeps in its checkpoints."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor


def collect_state(runner: Any) -> dict[str, Any]:
    """Return what RSL-RL saves of the algorithm."""
    alg = runner.alg
    state = {"model_state_dict": alg.policy.state_dict(), "optimizer_state_dict": alg.optimizer.state_dict()}
    if alg.rnd:
        state |= {
            "rnd_state_dict": alg.rnd.state_dict(),
            "rnd_optimizer_state_dict": alg.rnd_optimizer.state_dict(),
        }
    return state


def restore_state(runner: Any, checkpoint: dict[str, Any], for_training: bool) -> None:
    """Load what :func:`collect_state` returned; without the optimizers unless for training."""
    alg = runner.alg
    alg.policy.load_state_dict(checkpoint["model_state_dict"])
    if alg.rnd:
        alg.rnd.load_state_dict(checkpoint["rnd_state_dict"])
    if for_training:
        alg.optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
        if alg.rnd:
            alg.rnd_optimizer.load_state_dict(checkpoint["rnd_optimizer_state_dict"])


def train_mode(runner: Any) -> None:
    """Put the networks back into the mode that they train in."""
    runner.train_mode()


def unclamped_std(runner: Any) -> Tensor | None:
    """Return the standard deviation, if it is a parameter: it may fall below zero, and acting fails then."""
    return getattr(runner.alg.policy, "std", None)


def policy_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of the model with the policy, which is the critic's too."""
    return checkpoint["model_state_dict"]


def rebuild_model(kind: Any, fields: dict[str, Any], state: dict[str, Tensor], shape: tuple[int, int]) -> Any:
    """Build a model over vectors; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    num_observations, num_actions = shape
    sizes = {"policy": num_observations, "critic": state["critic.0.weight"].shape[1]}
    observations = TensorDict({name: torch.zeros(1, size) for name, size in sizes.items()}, batch_size=[1])
    return kind(observations, {name: [name] for name in sizes}, num_actions, **fields)
