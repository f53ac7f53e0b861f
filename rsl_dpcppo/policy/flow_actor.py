# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Flow policies as actor models of rsl-rl-lib 5.x."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from rsl_rl.models import CNNModel, MLPModel, RNNModel
from rsl_rl.modules.distribution import GaussianDistribution
from rsl_rl.utils import unpad_trajectories
from tensordict import TensorDict
from torch import nn

from rsl_dpcppo.config import FlowFields
from rsl_dpcppo.errors import ConfigError, check_fields
from rsl_dpcppo.policy.flow_model import FlowModel, check_observations, split_fields
from rsl_dpcppo.policy.head import FlowHead, residual_width


class _FlowModel5(FlowModel):
    """Turns a model of RSL-RL into a flow policy: its MLP becomes the residual of a :class:`FlowHead`.

    RSL-RL's own exporters copy ``mlp`` after the encoder, and so export the whole policy.
    """

    # Brought by the host's model.
    distribution: Any
    obs_normalizer: nn.Module
    get_latent: Any

    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        *args: Any,
        **fields: Any,
    ) -> None:
        """Build the model as the host does, from its own fields and those of :class:`~rsl_dpcppo.config.FlowFields`.

        Raises:
            ConfigError: If a field is unknown or wrong, or the observations or actions do not suit a flow policy.
        """
        name = type(self).__name__
        check_fields(name, fields, {*inspect.signature(super().__init__).parameters, *FlowFields.__dataclass_fields__})
        flow, host = split_fields(fields)
        check_observations(obs, obs_groups[obs_set], output_dim, images_allowed=isinstance(self, CNNModel))
        if host.get("distribution_cfg") is None:
            raise ConfigError(f"{name} needs distribution_cfg, with class_name 'GaussianDistribution'.")
        # The host sizes its MLP by _get_latent_dim, which makes room for a0 with this.
        self._residual_width = residual_width(output_dim, flow.residual_frequencies)
        super().__init__(obs, obs_groups, obs_set, output_dim, *args, **host)
        if type(self.distribution) is not GaussianDistribution:
            raise ConfigError(
                f"distribution_cfg.class_name is {type(self.distribution).__name__}; the residual kernel (8) is a "
                "Gaussian with state-independent standard deviation: it must be 'GaussianDistribution'."
            )
        context_dim = super()._get_latent_dim()  # type: ignore[misc]
        self.mlp: Any = self._build_head(self.mlp, context_dim, output_dim, flow)

    @property
    def head(self) -> FlowHead:  # type: ignore[override]
        """The policy that acts, with averaged flow weights."""
        return self.mlp

    @property
    def normalizer(self) -> nn.Module:  # type: ignore[override]
        """The normaliser of the vector observations."""
        return self.obs_normalizer

    def forward(
        self,
        obs: TensorDict,
        masks: torch.Tensor | None = None,
        hidden_state: Any = None,
        stochastic_output: bool = False,
    ) -> torch.Tensor:
        """Act, or evaluate the kernel around the stored base action if the observations carry one.

        Args:
            obs: Observation groups. Shape: [num_envs, ...], or padded trajectories [time, trajectories, ...].
            masks: Valid steps of padded trajectories. Shape: [time, trajectories].
            hidden_state: State of a recurrent encoder at the trajectories' starts.
            stochastic_output: Whether to sample from the kernel, as in a rollout; otherwise act as in inference.

        Returns:
            Actions, or the kernel's mean if the observations carry a base action: evaluating a kernel takes no sample.
            Shape: [num_envs, num_actions] or [time, num_envs, num_actions].
        """
        context = self.context(obs, masks, hidden_state)
        if not stochastic_output and not self._has_base_action(obs):
            return self.head(context)
        mean = self._sample_kernel_mean(obs, context, masks)
        self.distribution.update(mean)
        return mean if self._has_base_action(obs) else self.distribution.sample()

    def context(self, observations: TensorDict, masks: torch.Tensor | None = None, hidden_state: Any = None) -> Any:
        """Return s, what the flow and the residual see of the observations. Shape: [batch, context_dim]."""
        if masks is not None and not self.is_recurrent:
            observations, masks = unpad_trajectories(observations, masks), None
        return self.get_latent(observations, masks, hidden_state)

    def kernel_std(self) -> torch.Tensor:
        """Return the standard deviation of the residual kernel, clamped as RSL-RL does. Shape: [num_actions]."""
        self.distribution.update(torch.zeros_like(self.head.fixed_noise))
        return self.distribution.std

    def update_normalization(self, obs: TensorDict) -> None:
        """Leave the normaliser as it is: within an iteration, the flow is fitted to what it acted on."""

    def update_normalizers(self, observations: TensorDict) -> None:
        """Update the normaliser from a whole rollout. Shape: [batch, ...]."""
        super().update_normalization(observations)  # type: ignore[misc]

    def _get_latent_dim(self) -> int:
        return super()._get_latent_dim() + self._residual_width  # type: ignore[misc]


class FlowActor(_FlowModel5, MLPModel):
    """Flow policy over vector observations. Fields: MLPModel's and :class:`~rsl_dpcppo.config.FlowFields`'."""


class FlowRNNActor(_FlowModel5, RNNModel):
    """Flow policy with memory. Fields: RNNModel's and :class:`~rsl_dpcppo.config.FlowFields`'."""


class FlowCNNActor(_FlowModel5, CNNModel):
    """Flow policy over images and vectors. Fields: CNNModel's and :class:`~rsl_dpcppo.config.FlowFields`'."""
