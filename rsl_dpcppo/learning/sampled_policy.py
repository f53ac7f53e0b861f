# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Policies whose actions come from a flow alone, which the algorithm trains itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn

from rsl_dpcppo.flow.activation import make_activation
from rsl_dpcppo.flow.ema import update_ema
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.head import PolicyHead
from rsl_dpcppo.learning.policy import FlowPolicy, Shape


class Sample(NamedTuple):
    """What a policy draws."""

    actions: Tensor
    """a. Shape: [batch, num_actions]."""
    stored: Tensor
    """What the rollout stores. Shape: [batch, stored_width]."""
    log_prob: Tensor
    """log pi where the algorithm has one, else zero. Shape: [batch]."""


class SampledPolicy(FlowPolicy):
    """A live flow, which acts while training and is trained, and a head with a copy of it, which acts at play time."""

    live: Any
    """The flow that is trained."""
    _last: Sample

    def __init__(self, shape: Shape, fields: Any, network: nn.Module | None = None) -> None:
        """Build the live flow and the head around its copy.

        Args:
            shape: What it is for. The flow's network has RSL-RL's widths and activation.
            fields: Fields of ``fields_class``.
            network: RSL-RL's own, which has no place here.
        """
        self.live = self.make_flow(self.make_network(shape, fields), fields)
        self.head = self.make_head(copy.deepcopy(self.live), shape, fields)

    def make_network(self, shape: Shape, fields: Any) -> Any:
        """Return the flow's network."""
        return VelocityField(
            shape.context_dim,
            shape.num_actions,
            shape.hidden_dims,
            make_activation(shape.activation),
            time_features=fields.flow_time_features,
            frequencies=fields.flow_frequencies,
            scale=self.velocity_scale(fields),
        )

    def make_head(self, flow: nn.Module, shape: Shape, fields: Any) -> PolicyHead:
        """Return the head around a copy of the flow."""
        return PolicyHead(
            flow, fields.inference_noise, self.noise_width(shape.num_actions), self.squashes_actions(fields)
        )

    def make_flow(self, velocity: VelocityField, fields: Any) -> nn.Module:
        """Return the flow along a velocity field: (noise, context) -> action."""
        raise NotImplementedError

    def velocity_scale(self, fields: Any) -> float:
        """Return what the network's output is multiplied with to be the velocity."""
        return 1.0

    def squashes_actions(self, fields: Any) -> bool:
        """Return whether the action is tanh of what the flow makes."""
        return False

    def noise_width(self, num_actions: int) -> int:
        """Return the width of the initial noise."""
        return num_actions

    def modules(self) -> dict[str, nn.Module]:
        """Return the live flow."""
        return {"live": self.live}

    @property
    def velocity(self) -> VelocityField:  # type: ignore[override]
        """The live flow weights."""
        return self.live.velocity

    def draw(self, noise: Tensor, context: Tensor) -> Sample:
        """Draw actions with the live weights. Shapes: [batch, noise_width] and [batch, context_dim]."""
        raise NotImplementedError

    def act(self, context: Tensor) -> Tensor:
        """Act for the rollout; see :meth:`~rsl_dpcppo.learning.policy.FlowPolicy.act`."""
        self._last = Sample(*self.sample(context))
        self.stored = self._last.stored
        return self._last.actions

    @property
    def log_prob(self) -> Tensor:
        """Log density of the last actions, or zero. Shape: [num_envs]."""
        return self._last.log_prob

    def untrained_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the copy that plays."""
        return self.head.flow.parameters()

    def update_played(self, ema_decay: float) -> None:
        """Move the weights that play toward the live ones.

        Args:
            ema_decay: Share of the old weights that is kept; 0 takes the live ones.
        """
        update_ema(self.head.flow, self.live, ema_decay)
