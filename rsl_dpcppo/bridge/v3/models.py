# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Flow policies as actor-critic modules of RSL-RL 3.x."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from rsl_rl import modules
from rsl_rl.modules import ActorCritic, ActorCriticRecurrent
from rsl_rl.networks import MLP
from tensordict import TensorDict
from torch import Tensor, nn
from torch.distributions import Normal

from rsl_dpcppo.bridge.models import CommonModel, check_observations, split_fields, spread, widen
from rsl_dpcppo.errors import ConfigError, check_fields
from rsl_dpcppo.learning.policy import FlowPolicy, Shape

_ACCEPTED = ("state_dependent_std", "rnn_hidden_size")
"""Fields that hosts pass on to every 3.x release, also to those that do not list them."""


def make_class(name: str, stem: str, policy_class: type[FlowPolicy]) -> Any:
    """Return a public model; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    *encoder, base = _ENCODERS[name.removeprefix(stem)]
    mixin = GaussianModel if policy_class.is_gaussian else SampledModel
    fields = policy_class.fields_class
    doc = f"{policy_class.__doc__}\n\n    Fields: those of {base.__name__} and of ``{fields.__name__}``.\n    "
    return type(name, (*encoder, mixin, base), {"__doc__": doc, "policy_class": policy_class, "fields_class": fields})


class FlowModel(CommonModel):
    """Turns an actor-critic of RSL-RL into a flow policy, whose head takes the place of ``actor``.

    Isaac Lab's exporters copy ``actor`` after the normaliser and the recurrent layer, and so export the whole policy.
    """

    images_allowed = False

    # Brought by RSL-RL's module.
    is_recurrent: bool
    actor: Any
    actor_obs_normalizer: nn.Module
    get_actor_obs: Any
    noise_std_type: str
    std: nn.Parameter
    log_std: nn.Parameter
    distribution: Any

    def __init__(
        self, obs: TensorDict, obs_groups: dict[str, list[str]], num_actions: int, *args: Any, **fields: Any
    ) -> None:
        """Build the module as RSL-RL does, from its own fields and those of ``fields_class``.

        Raises:
            ConfigError: If a field is unknown or wrong, or the observations or actions do not suit a flow policy.
        """
        signature = inspect.signature(super().__init__)
        known = {*signature.parameters, *self.fields_class.__dataclass_fields__, *_ACCEPTED}
        check_fields(type(self).__name__, fields, known - {"kwargs"})
        flow, host = split_fields(self.fields_class, fields)
        if host.pop("state_dependent_std", False):
            raise ConfigError(
                "state_dependent_std is True; a flow policy has no standard deviation that depends on the state: it "
                "must be False."
            )
        check_observations(
            obs,
            obs_groups["policy"],
            num_actions,
            stored_name=self.policy_class.stored_name,
            images_allowed=self.images_allowed,
        )
        super().__init__(obs, obs_groups, num_actions, *args, **host)  # type: ignore[call-arg]
        arguments = signature.bind(obs, obs_groups, num_actions, *args, **host)
        arguments.apply_defaults()
        shape = Shape(
            self.actor[0].in_features,
            num_actions,
            arguments.arguments["actor_hidden_dims"],
            arguments.arguments["activation"],
        )
        self.actor = self.move_in(self.make_policy(shape, flow))
        print(f"Actor: {self.actor}")

    def make_policy(self, shape: Shape, fields: Any) -> FlowPolicy:
        """Return the policy."""
        raise NotImplementedError

    @property
    def normalizer(self) -> nn.Module:
        """The normaliser of the vector observations."""
        return self.actor_obs_normalizer

    def context(self, observations: TensorDict, masks: Tensor | None = None, hidden_state: Any = None) -> Tensor:
        """Return s, what the flow sees of the observations. Shape: [batch, context_dim]."""
        return self.actor_obs_normalizer(self.get_actor_obs(observations))

    def act_inference(self, obs: TensorDict) -> Tensor:
        """Act as the inference settings say. Shape: [num_envs, num_actions]."""
        return self.head(self.context(obs))


class RecurrentEncoder:
    """What the memory makes of the observations."""

    memory_a: Any

    def context(self, observations: TensorDict, masks: Tensor | None = None, hidden_state: Any = None) -> Tensor:
        """Return s, the memory's output. Shape: [batch, context_dim] or [time, batch, context_dim]."""
        normalized = super().context(observations)  # type: ignore[misc]
        return self.memory_a(normalized, masks, hidden_state).squeeze(0)


class ImageEncoder:
    """What the convolutional networks make of the images, beside the vectors."""

    images_allowed = True

    get_actor_obs: Any
    actor_obs_normalizer: nn.Module
    actor_cnns: Any
    actor_obs_groups_2d: Any

    def context(self, observations: TensorDict, masks: Tensor | None = None, hidden_state: Any = None) -> Tensor:
        """Return s, normalised vectors beside the encoded images. Shape: [batch, context_dim]."""
        vectors, images = self.get_actor_obs(observations)
        encoded = [self.actor_cnns[group](images[group]) for group in self.actor_obs_groups_2d]
        return torch.cat([self.actor_obs_normalizer(vectors), *encoded], dim=-1)


class GaussianModel(FlowModel):
    """The policy says where RSL-RL's Gaussian has its mean."""

    def make_policy(self, shape: Shape, fields: Any) -> FlowPolicy:
        """Return the policy, with a network of RSL-RL's that has room for what it sees beside the context."""
        inputs = shape.context_dim + self.policy_class.extra_inputs(shape.num_actions, fields)
        network = MLP(inputs, shape.num_actions, shape.hidden_dims, shape.activation)
        return self.policy_class(shape, fields, network)  # type: ignore[call-arg]

    def act(
        self,
        obs: TensorDict,
        masks: Tensor | None = None,
        hidden_state: Any = None,
        hidden_states: Any = None,
        stored: Tensor | None = None,
    ) -> Tensor:
        """Sample from the Gaussian, or evaluate it around what was stored.

        Args:
            obs: Observation groups. Shape: [num_envs, ...], or padded trajectories [time, trajectories, ...].
            masks: Valid steps of padded trajectories. Shape: [time, trajectories].
            hidden_state: State of a recurrent encoder at the trajectories' starts.
            hidden_states: The same, as RSL-RL 3.0 calls it.
            stored: What the actions were made from. With it nothing is sampled. Shape: [..., stored_width].

        Returns:
            Actions, or the Gaussian's mean around what was stored. Shape: [num_envs, num_actions] or
            [time, num_envs, num_actions].
        """
        context = self.context(obs, masks, hidden_state if hidden_states is None else hidden_states)
        mean = self.flow_policy.act(context) if stored is None else self.flow_policy.evaluate(stored, context)
        self.distribution = Normal(mean, self.kernel_std().expand_as(mean))
        return mean if stored is not None else self.distribution.sample()

    def kernel_std(self) -> Tensor:
        """Return the Gaussian's standard deviation. Shape: [num_actions]."""
        return self.std if self.noise_std_type == "scalar" else self.log_std.exp()

    @torch.no_grad()
    def widen_kernel(self, factor: Tensor) -> None:
        """Multiply the Gaussian's standard deviation, if it is trained. Shape: []."""
        is_log = self.noise_std_type == "log"
        widen(self.log_std if is_log else self.std, factor, is_log=is_log)


class SampledModel(FlowModel):
    """The policy draws the actions itself; RSL-RL is told what it wants to know of a distribution.

    ``init_noise_std`` and ``noise_std_type``, which hosts always pass, mean nothing to it.
    """

    def make_policy(self, shape: Shape, fields: Any) -> FlowPolicy:
        """Return the policy; RSL-RL's standard deviation goes."""
        delattr(self, "std" if self.noise_std_type == "scalar" else "log_std")
        return self.policy_class(shape, fields)  # type: ignore[call-arg]

    def act(self, obs: TensorDict, **_: Any) -> Tensor:
        """Sample actions with the live weights, as in a rollout. Shape: [num_envs, num_actions]."""
        self._actions = self.flow_policy.act(self.context(obs))
        return self._actions

    @property
    def action_mean(self) -> Tensor:
        """The last actions. Shape: [num_envs, num_actions]."""
        return self._actions

    @property
    def action_std(self) -> Tensor:
        """Standard deviation of the last actions over the environments. Shape: [num_envs, num_actions]."""
        return spread(self._actions)

    def get_actions_log_prob(self, actions: Tensor) -> Tensor:
        """Return log pi of the last actions, or zero where the algorithm has none. Shape: [num_envs]."""
        return self.flow_policy.log_prob


_ENCODERS: dict[str, tuple[Any, ...]] = {
    "ActorCritic": (ActorCritic,),
    "ActorCriticRecurrent": (RecurrentEncoder, ActorCriticRecurrent),
}
"""RSL-RL's modules, and how they encode observations, by what the names of ours end with."""

if hasattr(modules, "ActorCriticCNN"):  # from 3.3
    _ENCODERS["ActorCriticCNN"] = (ImageEncoder, modules.ActorCriticCNN)
