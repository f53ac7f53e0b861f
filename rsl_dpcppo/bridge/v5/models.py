# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Flow policies as actor models of RSL-RL 5.x."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from rsl_rl.models import CNNModel, MLPModel, RNNModel
from rsl_rl.modules.distribution import GaussianDistribution
from rsl_rl.utils import unpad_trajectories
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.bridge.models import CommonModel, check_observations, split_fields, spread, widen
from rsl_dpcppo.errors import ConfigError, check_fields
from rsl_dpcppo.learning.policy import FlowPolicy, Shape

_ENCODERS = {"Actor": MLPModel, "RNNActor": RNNModel, "CNNActor": CNNModel}
"""RSL-RL's models by what the names of ours end with."""


def make_class(name: str, stem: str, policy_class: type[FlowPolicy]) -> Any:
    """Return a public model; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    base = _ENCODERS[name.removeprefix(stem)]
    mixin = GaussianModel if policy_class.is_gaussian else SampledModel
    fields = policy_class.fields_class
    doc = f"{policy_class.__doc__}\n\n    Fields: those of {base.__name__} and of ``{fields.__name__}``.\n    "
    return type(name, (mixin, base), {"__doc__": doc, "policy_class": policy_class, "fields_class": fields})


class FlowModel(CommonModel):
    """Turns a model of RSL-RL into a flow policy, whose head takes the place of its MLP.

    RSL-RL's own exporters copy ``mlp`` after the encoder, and so export the whole policy.
    """

    # Brought by RSL-RL's model.
    is_recurrent: bool
    distribution: Any
    obs_normalizer: nn.Module
    get_latent: Any
    mlp: Any

    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        *args: Any,
        **fields: Any,
    ) -> None:
        """Build the model as RSL-RL does, from its own fields and those of ``fields_class``.

        Raises:
            ConfigError: If a field is unknown or wrong, or the observations or actions do not suit a flow policy.
        """
        signature = inspect.signature(super().__init__)
        check_fields(type(self).__name__, fields, {*signature.parameters, *self.fields_class.__dataclass_fields__})
        flow, host = split_fields(self.fields_class, fields)
        check_observations(
            obs,
            obs_groups[obs_set],
            output_dim,
            stored_name=self.policy_class.stored_name,
            images_allowed=isinstance(self, CNNModel),
        )
        self.check_distribution(host.get("distribution_cfg"))
        # RSL-RL sizes its MLP by _get_latent_dim, which makes room for these.
        self._extra_inputs = self.policy_class.extra_inputs(output_dim, flow)
        super().__init__(obs, obs_groups, obs_set, output_dim, *args, **host)  # type: ignore[call-arg]
        self.check_built_distribution()
        arguments = signature.bind(obs, obs_groups, obs_set, output_dim, *args, **host)
        arguments.apply_defaults()
        shape = Shape(
            super()._get_latent_dim(),  # type: ignore[misc]
            output_dim,
            arguments.arguments["hidden_dims"],
            arguments.arguments["activation"],
        )
        self.mlp = self.move_in(self.policy_class(shape, flow, self.mlp))  # type: ignore[call-arg]

    def check_distribution(self, distribution_cfg: dict[str, Any] | None) -> None:
        """Refuse a distribution of RSL-RL's that the policy has no place for, before the model is built."""
        raise NotImplementedError

    def check_built_distribution(self) -> None:
        """Refuse such a distribution once RSL-RL has built it."""

    @property
    def normalizer(self) -> nn.Module:
        """The normaliser of the vector observations."""
        return self.obs_normalizer

    def context(self, observations: TensorDict, masks: Tensor | None = None, hidden_state: Any = None) -> Tensor:
        """Return s, what the flow sees of the observations. Shape: [batch, context_dim]."""
        if masks is not None and not self.is_recurrent:
            observations, masks = unpad_trajectories(observations, masks), None
        return self.get_latent(observations, masks, hidden_state)

    def _get_latent_dim(self) -> int:
        return super()._get_latent_dim() + self._extra_inputs  # type: ignore[misc]


class GaussianModel(FlowModel):
    """The policy says where RSL-RL's distribution has its mean."""

    def check_distribution(self, distribution_cfg: dict[str, Any] | None) -> None:
        """Refuse to go without."""
        if distribution_cfg is None:
            raise ConfigError(f"{type(self).__name__} needs distribution_cfg, with class_name 'GaussianDistribution'.")

    def check_built_distribution(self) -> None:
        """Refuse other distributions than the Gaussian."""
        if type(self.distribution) is not GaussianDistribution:
            raise ConfigError(
                f"distribution_cfg.class_name is {type(self.distribution).__name__}; the residual kernel (8) is a "
                "Gaussian with state-independent standard deviation: it must be 'GaussianDistribution'."
            )

    def forward(
        self,
        obs: TensorDict,
        masks: Tensor | None = None,
        hidden_state: Any = None,
        stochastic_output: bool = False,
        stored: Tensor | None = None,
    ) -> Tensor:
        """Act, or evaluate the Gaussian around what was stored.

        Args:
            obs: Observation groups. Shape: [num_envs, ...], or padded trajectories [time, trajectories, ...].
            masks: Valid steps of padded trajectories. Shape: [time, trajectories].
            hidden_state: State of a recurrent encoder at the trajectories' starts.
            stochastic_output: Whether to sample, as in a rollout; otherwise act as in inference.
            stored: What the actions were made from. With it nothing is sampled. Shape: [..., stored_width].

        Returns:
            Actions, or the Gaussian's mean around what was stored. Shape: [num_envs, num_actions] or
            [time, num_envs, num_actions].
        """
        context = self.context(obs, masks, hidden_state)
        if stored is not None:
            mean = self.flow_policy.evaluate(stored, context)
            self.distribution.update(mean)
            return mean
        if not stochastic_output:
            return self.head(context)
        self.distribution.update(self.flow_policy.act(context))
        return self.distribution.sample()

    def kernel_std(self) -> Tensor:
        """Return the Gaussian's standard deviation, clamped as RSL-RL does. Shape: [num_actions]."""
        self.distribution.update(torch.zeros(self.head.num_actions, device=self.head.fixed_noise.device))
        return self.distribution.std

    @torch.no_grad()
    def widen_kernel(self, factor: Tensor) -> None:
        """Multiply the Gaussian's standard deviation, if it is trained. Shape: []."""
        is_log = self.distribution.std_type == "log"
        widen(self.distribution.log_std_param if is_log else self.distribution.std_param, factor, is_log=is_log)


class SampledModel(FlowModel):
    """The policy draws the actions itself; RSL-RL is told what it wants to know of a distribution."""

    def check_distribution(self, distribution_cfg: dict[str, Any] | None) -> None:
        """Refuse any."""
        if distribution_cfg is not None:
            raise ConfigError(
                f"distribution_cfg is {distribution_cfg!r}; {type(self).__name__} samples from a flow, without a "
                "distribution of RSL-RL's: it must be None."
            )

    def forward(
        self, obs: TensorDict, masks: None = None, hidden_state: None = None, stochastic_output: bool = False
    ) -> Tensor:
        """Act.

        Args:
            obs: Observation groups. Shape: [num_envs, ...].
            masks: Must be None; here because RSL-RL passes it.
            hidden_state: Must be None; here because RSL-RL passes it.
            stochastic_output: Whether to sample with the live weights, as in a rollout; otherwise act as in inference.

        Returns:
            Actions. Shape: [num_envs, num_actions].
        """
        context = self.context(obs)
        if not stochastic_output:
            return self.head(context)
        self._actions = self.flow_policy.act(context)
        return self._actions

    def remember(self, actions: Tensor) -> None:
        """Take actions as the last ones, that somebody else drew. Shape: [num_envs, num_actions]."""
        self._actions = actions

    @property
    def output_mean(self) -> Tensor:
        """The last actions. Shape: [num_envs, num_actions]."""
        return self._actions

    @property
    def output_std(self) -> Tensor:
        """Standard deviation of the last actions over the environments. Shape: [num_envs, num_actions]."""
        return spread(self._actions)

    @property
    def output_distribution_params(self) -> tuple[Tensor, ...]:
        """Return what RSL-RL's storage keeps of a Gaussian. Shapes: [num_envs, num_actions]."""
        return self.output_mean, self.output_std

    def get_output_log_prob(self, outputs: Tensor) -> Tensor:
        """Return log pi of the last actions, or zero where the algorithm has none. Shape: [num_envs]."""
        return self.flow_policy.log_prob
