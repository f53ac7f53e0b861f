# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the flow models of both RSL-RL generations have in common."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import torch
from rsl_rl.utils import resolve_nn_activation, unpad_trajectories
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.config import FlowFields
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.policy.head import FlowHead

BASE_ACTION = "base_action"
"""Key under which the base action a0 rides with the observations through RSL-RL's rollout storage."""


class FlowModel(nn.Module):
    """A flow head beside its live velocity field, mixed into one of RSL-RL's models.

    The host's model brings the encoder (normaliser, recurrent or convolutional network), which makes the context
    s from the observations, and the standard deviation of the kernel.
    """

    is_recurrent: bool
    head: FlowHead
    """The policy that acts, with averaged flow weights."""
    normalizer: nn.Module
    """The normaliser of the vector observations."""
    velocity: VelocityField
    """The live flow weights, which only the flow-matching fit changes."""
    solve: Callable[[Tensor, Tensor], Tensor] | None = None
    """A faster way to run ``head.flow`` while training, where the algorithm has one."""
    solve_dtype: torch.dtype | None = None
    """Type of the matrix products of ``head.flow`` while training; None for those of the weights."""
    last_base_action: Tensor | None = None
    """a0 of the last action that was sampled without a stored one. Shape: [num_envs, num_actions]."""

    def _build_head(self, residual: nn.Module, context_dim: int, num_actions: int, fields: FlowFields) -> FlowHead:
        """Create the live velocity field and return the head around its averaged copy."""
        activation = resolve_nn_activation(fields.flow_activation)
        self.velocity = VelocityField(context_dim, num_actions, fields.flow_hidden_dims, activation)
        return FlowHead(
            copy.deepcopy(self.velocity),
            residual,
            flow_steps=fields.flow_steps,
            flow_solver=fields.flow_solver,
            residual_frequencies=fields.residual_frequencies,
            inference_policy=fields.inference_policy,
            inference_noise=fields.inference_noise,
        )

    @staticmethod
    def _has_base_action(observations: TensorDict) -> bool:
        return BASE_ACTION in observations

    def _sample_kernel_mean(self, observations: TensorDict, context: Tensor, masks: Tensor | None) -> Tensor:
        """Return the kernel's mean around the stored base action, or around a new one where none is stored.

        Args:
            observations: Observation groups, with :data:`BASE_ACTION` beside them in an update.
            context: s, without padding. Shape: [batch, context_dim], or [time, batch, context_dim] with masks.
            masks: Valid steps of padded trajectories. Shape: [time, trajectories].
        """
        if not self._has_base_action(observations):
            self.last_base_action = self.sample_base_action(context)
            return self.head.kernel_mean(self.last_base_action, context)
        base_action = observations[BASE_ACTION]
        if masks is not None:
            base_action = unpad_trajectories(base_action, masks)
        return self.head.kernel_mean(base_action, context)

    def sample_base_action(self, context: Tensor, noise: Tensor | None = None) -> Tensor:
        """Sample a0 from the flow policy, with fresh noise whatever the inference settings.

        Args:
            context: s. Shape: [batch, context_dim].
            noise: a_n, if it is known already. Shape: [batch, num_actions].

        Returns:
            a0. Shape: [batch, num_actions].
        """
        if noise is None:
            noise = self.draw_noise(context)
        solve = self.solve or self.head.flow
        with torch.autocast(context.device.type, dtype=self.solve_dtype, enabled=self.solve_dtype is not None):
            return solve(noise, context)

    def draw_noise(self, context: Tensor) -> Tensor:
        """Draw a_n from N(0, I) for each context. Shape: [batch, num_actions]."""
        return torch.randn(len(context), self.head.num_actions, dtype=context.dtype, device=context.device)

    def kernel_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over what the conditional PPO update trains: everything but the flow."""
        flow = {id(parameter) for module in (self.velocity, self.head.flow) for parameter in module.parameters()}
        return (parameter for parameter in self.parameters() if id(parameter) not in flow)

    def context(self, observations: TensorDict, masks: Tensor | None = None, hidden_state: object = None) -> Tensor:
        """Return s, what the flow and the residual see of the observations. Shape: [batch, context_dim]."""
        raise NotImplementedError

    def kernel_std(self) -> Tensor:
        """Return the standard deviation of the residual kernel. Shape: [num_actions]."""
        raise NotImplementedError

    def update_normalizers(self, observations: TensorDict) -> None:
        """Update the observation statistics from a whole rollout. Shape: [batch, ...]."""
        raise NotImplementedError


def split_fields(fields: dict[str, Any]) -> tuple[FlowFields, dict[str, Any]]:
    """Split a model's fields into ours, checked, and the host's."""
    ours = {name: value for name, value in fields.items() if name in FlowFields.__dataclass_fields__}
    return FlowFields(**ours), {name: value for name, value in fields.items() if name not in ours}


def check_observations(observations: TensorDict, groups: list[str], num_actions: int, images_allowed: bool) -> None:
    """Check what the environment offers against what a flow model can take.

    Raises:
        ConfigError: If the action space is not continuous, a group has an unusable shape, or a name is taken.
    """
    # Some environments count in NumPy's integers.
    if not isinstance(num_actions, numbers.Integral) or num_actions < 1:
        raise ConfigError(
            f"num_actions is {num_actions!r}; a flow policy needs a continuous action space with at least one "
            "dimension. Discrete actions cannot be trained with it."
        )
    if BASE_ACTION in observations:
        raise ConfigError(
            f"The environment has an observation group '{BASE_ACTION}', a name that DP-CPPO uses itself. Rename it."
        )
    for group in groups:
        if group in observations and len(observations[group].shape) > 2 and not images_allowed:
            shape = list(observations[group].shape)
            raise ConfigError(
                f"Observation group '{group}' has shape {shape}, an image. This model takes vectors of shape "
                "[num_envs, size]; use the convolutional one: rsl_dpcppo.FlowCNNActor (rsl-rl-lib 5.x) or "
                "rsl_dpcppo.FlowActorCriticCNN (rsl-rl-lib 3.3)."
            )


def check_exportable(class_name: str | None, expected: str) -> None:
    """Check that an agent is the kind of flow policy that can be rebuilt from its weights.

    Raises:
        ConfigError: If the class that its configuration names is another one.
    """
    if class_name != expected:
        raise ConfigError(
            f"The run's params/agent.yaml names the model {class_name}; with the installed RSL-RL only {expected} can "
            "be exported without its environment. Use the host's own exporter for others."
        )


def policy_shape(state: dict[str, Tensor]) -> tuple[int, int]:
    """Return (num_obs, num_actions) of a policy over vector observations, read off its velocity field's weights."""
    biases = [value for name, value in state.items() if name.startswith("velocity.trunk.") and name.endswith(".bias")]
    num_actions = biases[-1].numel()
    return state["velocity.input_layer.weight"].shape[1] - num_actions - 1, num_actions
