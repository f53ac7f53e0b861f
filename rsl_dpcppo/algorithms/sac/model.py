# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC's policy."""

# No postponed annotations here: TorchScript reads those of methods as types.

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rsl_dpcppo.algorithms.sac.config import SACModelFields
from rsl_dpcppo.algorithms.sac.losses import squashed_log_prob
from rsl_dpcppo.flow.activation import make_activation
from rsl_dpcppo.learning.candidates import CandidateHead
from rsl_dpcppo.learning.critics import TwinCritics
from rsl_dpcppo.learning.mlp import make_mlp
from rsl_dpcppo.learning.policy import Shape
from rsl_dpcppo.learning.sampled_policy import Sample, SampledPolicy

LOG_STD = (-5.0, 2.0)
"""Bounds of the logarithm of the standard deviation, before tanh."""


class GaussianNetwork(nn.Module):
    """Mean and standard deviation of a Gaussian that depend on the state."""

    def __init__(self, context_dim: int, num_actions: int, hidden_dims: list[int], activation: str) -> None:
        """Build the network: context [batch, context_dim] -> [batch, 2 num_actions]."""
        super().__init__()
        self.context_dim = context_dim
        self.num_actions = num_actions
        self.lowest, self.highest = LOG_STD
        self.layers = make_mlp(context_dim, list(hidden_dims), 2 * num_actions, make_activation(activation))

    def forward(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation. Shape of each: [batch, num_actions]."""
        mean, raw = self.layers(context).chunk(2, dim=-1)
        return mean, (self.lowest + 0.5 * (self.highest - self.lowest) * (raw.tanh() + 1.0)).exp()


class GaussianFlow(nn.Module):
    """Carries noise to a Gaussian's sample, in the one step that it takes."""

    def __init__(self, network: GaussianNetwork) -> None:
        """Wrap a network, in the place of a flow's velocity field."""
        super().__init__()
        self.velocity = network
        self.num_steps = 1

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """Return mean + std noise. Shape: [batch, num_actions]."""
        mean, std = self.velocity(context)
        return mean + std * noise


class SACPolicy(SampledPolicy):
    """tanh of a Gaussian whose mean and standard deviation depend on the state. It plays what was trained."""

    fields_class = SACModelFields
    stored_name = ""

    def make_network(self, shape: Shape, fields: SACModelFields) -> GaussianNetwork:
        """Return the Gaussian's network."""
        return GaussianNetwork(shape.context_dim, shape.num_actions, shape.hidden_dims, shape.activation)

    def make_flow(self, velocity: Any, fields: SACModelFields) -> GaussianFlow:
        """Return the Gaussian."""
        return GaussianFlow(velocity)

    def make_head(self, flow: nn.Module, shape: Shape, fields: SACModelFields) -> CandidateHead:
        """Return what plays."""
        return CandidateHead(flow, fields.inference_noise, shape.num_actions, True, fields.action_scale)

    def choose_by(self, critics: TwinCritics | None) -> None:
        """Do nothing: there is one action to choose from."""

    @classmethod
    def sizes(cls, state: Mapping[str, Tensor], time_features: int) -> tuple[int, int]:
        """Return (context_dim, num_actions); see :meth:`~rsl_dpcppo.learning.policy.FlowPolicy.sizes`."""
        weights = [x for name, x in state.items() if ".velocity.layers." in f".{name}" and name.endswith(".weight")]
        return weights[0].shape[1], weights[-1].shape[0] // 2

    @property
    def stored_width(self) -> int:
        """Nothing is stored."""
        return 0

    def draw(self, noise: Tensor, context: Tensor) -> Sample:
        """Sample actions in [-1, 1], with their log densities."""
        mean, std = self.live.velocity(context)
        before = mean + std * noise
        return Sample(before.tanh(), noise[:, :0], squashed_log_prob(before, mean, std))
