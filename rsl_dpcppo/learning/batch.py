# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""One mini-batch of a rollout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tensordict import TensorDict
from torch import Tensor


@dataclass
class MiniBatch:
    """Transitions of a rollout. ``...`` is [batch], or [time, num_envs] for recurrent models."""

    observations: TensorDict
    """Observation groups. Batch size: [...], or padded trajectories [time, trajectories]."""
    stored: Tensor
    """What the policy made the actions from. Shape: [..., stored_width]."""
    actions: Tensor
    """a. Shape: [..., num_actions]."""
    values: Tensor
    """V(s) while the rollout was collected. Shape: [...]."""
    advantages: Tensor
    """A(s, a). Shape: [...]."""
    returns: Tensor
    """Targets of the value function. Shape: [...]."""
    old_log_prob: Tensor
    """log p(a | a0, s) of DP-CPPO's kernel, or log pi, while the rollout was collected. Shape: [...]."""
    old_mean: Tensor
    """Mean of the kernel then. Never mirrored. Other models have their actions here. Shape: [..., num_actions]."""
    old_std: Tensor
    """Standard deviation of the kernel then. Never mirrored. Shape: [..., num_actions]."""
    hidden_states: tuple[Any, Any] = (None, None)
    """States of recurrent actor and critic at the starts of the trajectories."""
    masks: Tensor | None = None
    """Valid steps of padded trajectories. Shape: [time, trajectories]."""
    prepared: dict[str, Tensor] = field(default_factory=dict)
    """What the algorithm computed once, before its epochs. Shapes: [..., width]."""

    @property
    def size(self) -> int:
        """Length of the first axis."""
        return len(self.old_mean)
