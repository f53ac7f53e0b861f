# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What flow models are alike in both generations, and what is asked of an environment before one is built."""

from __future__ import annotations

import numbers
from typing import Any, ClassVar

from tensordict import TensorDict
from torch import Tensor
from torch.nn import Parameter

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.learning.head import PolicyHead
from rsl_dpcppo.learning.policy import FlowPolicy


class CommonModel:
    """A model of RSL-RL that a flow policy has moved into."""

    policy_class: ClassVar[type[FlowPolicy]]
    fields_class: ClassVar[Any]

    flow_policy: FlowPolicy

    def move_in(self, policy: FlowPolicy) -> PolicyHead:
        """Take a policy's modules in, so that they are saved and moved with the model's, and return its head."""
        self.flow_policy = policy
        for name, module in policy.modules().items():
            setattr(self, name, module)
        return policy.head

    @property
    def head(self) -> PolicyHead:
        """The policy that acts at play time."""
        return self.flow_policy.head

    def update_normalization(self, obs: TensorDict) -> None:
        """Leave the normalisers as they are: within an iteration, the flow is trained on what it acted on."""

    def update_normalizers(self, observations: TensorDict) -> None:
        """Update the normalisers from a whole rollout. Shape: [batch, ...]."""
        super().update_normalization(observations)  # type: ignore[misc]


def widen(parameter: Parameter, factor: Tensor, *, is_log: bool) -> None:
    """Multiply a trained standard deviation in place; one that is not trained stays as it is.

    Args:
        parameter: The standard deviation, or its logarithm. Shape: [num_actions].
        factor: By how much. Shape: [].
        is_log: Whether it is the logarithm.
    """
    if parameter.requires_grad:
        # Past autograd, as the optimizer's steps in a replayed CUDA graph: RSL-RL's log may still read the rollout's
        # distribution, a view of the parameter made in inference mode, and could not if autograd had seen the change.
        parameter.data.copy_(parameter + factor.log() if is_log else parameter * factor)


def split_fields(fields_class: Any, fields: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Split the fields of a model or an algorithm into ours, checked, and the host's."""
    ours = {name: value for name, value in fields.items() if name in fields_class.__dataclass_fields__}
    return fields_class(**ours), {name: value for name, value in fields.items() if name not in ours}


def check_observations(
    observations: TensorDict, groups: list[str], num_actions: int, *, stored_name: str, images_allowed: bool
) -> None:
    """Check what the environment offers against what a flow model can take.

    Args:
        observations: Observation groups.
        groups: Names of those that the model sees.
        num_actions: Width of the action.
        stored_name: Name of what the rollout stores beside the groups.
        images_allowed: Whether the model takes images.

    Raises:
        ConfigError: If the action space is not continuous, a group has an unusable shape, or a name is taken.
    """
    # Some environments count in NumPy's integers.
    if not isinstance(num_actions, numbers.Integral) or num_actions < 1:
        raise ConfigError(
            f"num_actions is {num_actions!r}; a flow policy needs a continuous action space with at least one "
            "dimension. Discrete actions cannot be trained with it."
        )
    if stored_name and stored_name in observations:
        raise ConfigError(
            f"The environment has an observation group '{stored_name}', a name that the algorithm uses itself. "
            "Rename it."
        )
    for group in groups:
        if group in observations and len(observations[group].shape) > 2 and not images_allowed:
            shape = list(observations[group].shape)
            raise ConfigError(
                f"Observation group '{group}' has shape {shape}, an image. This model takes vectors of shape "
                "[num_envs, size]; use the convolutional one: rsl_dpcppo.FlowCNNActor (rsl-rl-lib 5.x) or "
                "rsl_dpcppo.FlowActorCriticCNN (rsl-rl-lib 3.3)."
            )


def spread(actions: Tensor) -> Tensor:
    """Return the standard deviation of actions over the environments, repeated. Shape: [num_envs, num_actions]."""
    return actions.std(dim=0, correction=0).expand_as(actions)
