# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A flow policy: contexts in, actions out. How it is trained is its algorithm's, who makes the contexts its host's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.compilation import Compiled
from rsl_dpcppo.learning.head import PolicyHead


@dataclass(frozen=True)
class Shape:
    """What a policy is built for."""

    context_dim: int
    """Width of the context s."""
    num_actions: int
    """Width of the action a."""
    hidden_dims: list[int]
    """RSL-RL's field: widths of the network's hidden layers."""
    activation: str
    """RSL-RL's field: the network's activation."""


class FlowPolicy:
    """A flow policy inside one of RSL-RL's models, which brings the encoder and registers the policy's modules.

    A subclass is built with (shape, fields, network): a :class:`Shape`, its ``fields_class``, and RSL-RL's network over
    [s, :meth:`extra_inputs`], which a Gaussian policy makes use of. It says how actions are drawn (:meth:`draw`), and
    what the rollout stores beside them (:meth:`act`).
    """

    fields_class: ClassVar[Any]
    """The fields that the policy adds to those of RSL-RL's model, a dataclass."""
    stored_name: ClassVar[str]
    """Name under which the rollout stores, beside each observation, what the action was made from."""
    is_gaussian: ClassVar[bool] = False
    """Whether RSL-RL draws the action, from its Gaussian around what :meth:`act` returns."""

    head: PolicyHead
    """The policy that acts at play time."""
    velocity: VelocityField
    """The live flow weights."""
    stored: Tensor
    """What the last actions were made from. Shape: [num_envs, stored_width]."""
    low_precision: torch.dtype | None = None
    """Type of the flow's matrix products while acting in training; None for that of the weights."""

    _fast_carry: Compiled | None = None

    @classmethod
    def extra_inputs(cls, num_actions: int, fields: Any) -> int:
        """Return how many inputs RSL-RL's network has beside the context."""
        return 0

    @classmethod
    def default_time_features(cls) -> int:
        """Return the number of features that the policy's field sees of the time, unless its fields say another."""
        return getattr(cls.fields_class(), "flow_time_features", 0)

    @classmethod
    def sizes(cls, state: Mapping[str, Tensor], time_features: int) -> tuple[int, int]:
        """Return (context_dim, num_actions), read off the weights of the flow's network.

        Args:
            state: Weights, of a model that holds the policy.
            time_features: Number of features that the network sees of the time; 0 for the time as it is.
        """
        first = next(name for name in state if name.endswith("velocity.input_layer.weight"))
        field = first.removesuffix("input_layer.weight")
        trunk = [value for name, value in state.items() if name.startswith(f"{field}trunk.")]
        num_actions = trunk[-1].numel()  # the last layer's bias
        over_context = state.get(f"{field}context_layers.0.weight")
        if over_context is not None:
            return over_context.shape[1], num_actions
        return state[first].shape[1] - num_actions - max(1, time_features), num_actions

    def modules(self) -> dict[str, nn.Module]:
        """Return what belongs to the policy beside its head, by the names that checkpoints have."""
        raise NotImplementedError

    @property
    def stored_width(self) -> int:
        """Width of what the rollout stores."""
        raise NotImplementedError

    def draw(self, noise: Tensor, context: Tensor) -> Any:
        """Make of noise [batch, noise_width] and contexts [batch, context_dim] what the policy samples, as written."""
        raise NotImplementedError

    def compile(self, mode: str) -> None:
        """Choose how :meth:`sample` runs :meth:`carry`; see :class:`~rsl_dpcppo.learning.compilation.Compiled`."""
        self._fast_carry = Compiled(self.carry, mode)

    def sample(self, context: Tensor, noise: Tensor | None = None) -> Any:
        """Run :meth:`carry` as fast as it may, whatever the inference settings.

        Args:
            context: s. Shape: [batch, context_dim].
            noise: Initial noise, if it is known already; else it is drawn. Shape: [batch, noise_width].
        """
        if noise is None:
            noise = self.draw_noise(context)
        return (self._fast_carry or self.carry)(noise, context)

    def carry(self, noise: Tensor, context: Tensor) -> Any:
        """Run :meth:`draw` in the precision of training, as written. Arguments as there."""
        with torch.autocast(context.device.type, dtype=self.low_precision, enabled=self.low_precision is not None):
            return self.draw(noise, context)

    def draw_noise(self, context: Tensor) -> Tensor:
        """Draw the initial noise from N(0, I) for each context. Shape: [batch, noise_width]."""
        return torch.randn(len(context), self.head.noise_width, dtype=context.dtype, device=context.device)

    def act(self, context: Tensor) -> Tensor:
        """Act for the rollout, and keep what the action was made from as :attr:`stored`.

        Returns:
            a, or the mean of RSL-RL's Gaussian if :attr:`is_gaussian`. Shape: [num_envs, num_actions].
        """
        raise NotImplementedError

    def evaluate(self, stored: Tensor, context: Tensor) -> Tensor:
        """Return the mean of RSL-RL's Gaussian around what was stored. Shape: [..., num_actions]."""
        raise NotImplementedError

    @property
    def log_prob(self) -> Tensor:
        """Log density of the last actions, where RSL-RL does not draw them. Shape: [num_envs]."""
        raise NotImplementedError

    def untrained_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over what PPO's step leaves alone."""
        raise NotImplementedError
