# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a checkpoint holds of a learner. It travels in the optimizer's state, which RSL-RL saves in every version."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from rsl_dpcppo.errors import CheckpointError
from rsl_dpcppo.learning.random_state import RandomState
from rsl_dpcppo.learning.step_size import StepSize

LEARNER_STATE = "learner"
"""Key of the learner's state in the optimizer's."""

OLDER_LEARNER_STATES = ("dpcppo",)
"""The same in checkpoints of older releases."""


class Learner(Protocol):
    """What has a state to save."""

    name: str
    """Name of the algorithm."""
    optimizer: torch.optim.Optimizer
    """The first group of its parameters has the adaptive step size."""
    step_size: StepSize
    random_state: RandomState

    @property
    def is_one_of_several(self) -> bool:
        """Whether other processes load the same file."""

    def more_state(self) -> dict[str, Any]:
        """Return what else the checkpoint holds."""

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`more_state` returned."""

    def forget_recorded_steps(self) -> None:
        """Record steps anew, because the optimizer has new tensors."""


def save_with_optimizer(learner: Learner) -> None:
    """Let a learner's state travel in the state of its optimizer, in and out."""

    def add(_: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        adaptive, *fixed = state["param_groups"]
        return {
            **state,
            "param_groups": [{**adaptive, "lr": learner.step_size.value}, *fixed],
            LEARNER_STATE: {
                "algorithm": learner.name,
                "random_state": learner.random_state.state_dict(),
                **learner.more_state(),
            },
        }

    def load(_: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        key = next((key for key in (LEARNER_STATE, *OLDER_LEARNER_STATES) if key in state), None)
        found = state[key] if key else {"algorithm": None}
        if found.get("algorithm", "DPCPPO") != learner.name:  # the oldest release had one algorithm, and no name for it
            raise CheckpointError(
                f"The checkpoint's optimizer is not {learner.name}'s: it was written by another algorithm."
            )
        learner.load_more_state(found)
        # One file serves all ranks; if each took its random state, all would sample the same noise.
        learner.random_state.load_state_dict(None if learner.is_one_of_several else found["random_state"])

    def share_step_size(optimizer: torch.optim.Optimizer) -> None:
        learner.step_size.set(optimizer.param_groups[0]["lr"])
        optimizer.param_groups[0]["lr"] = learner.step_size.tensor
        learner.forget_recorded_steps()

    learner.optimizer.register_state_dict_post_hook(add)
    learner.optimizer.register_load_state_dict_pre_hook(load)
    learner.optimizer.register_load_state_dict_post_hook(share_step_size)
