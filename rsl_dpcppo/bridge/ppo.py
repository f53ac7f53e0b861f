# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL's PPO with a learner of ours in the place of its update."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from rsl_rl.algorithms import PPO
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.bridge.action_space import check_action_space
from rsl_dpcppo.bridge.contract import FlowModel
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.models import split_fields
from rsl_dpcppo.config.ppo import check_ppo_fields
from rsl_dpcppo.errors import ConfigError, check_fields
from rsl_dpcppo.learning.environment import check_step, keep_dones_as_given
from rsl_dpcppo.learning.on_policy import OnPolicyLearner


class FlowPPO(PPO):
    """RSL-RL collects the rollout and computes the returns as in PPO; the learner does the rest.

    The rollout stores what the model made its actions from, beside the observations.
    """

    learner_class: ClassVar[type[OnPolicyLearner]]
    """The update."""
    fields_class: ClassVar[Any]
    """The fields that the algorithm adds to those of RSL-RL's PPO, a dataclass."""
    suitable_model: ClassVar[str]
    """The model to name beside the algorithm."""

    learner: OnPolicyLearner

    def __init__(self, *models_and_storage: Any, **fields: Any) -> None:
        """Build the algorithm as RSL-RL builds its PPO.

        Args:
            models_and_storage: What the runner passes by position: policy (3.x), or actor, critic and storage (5.x).
            fields: The algorithm's fields.

        Raises:
            ConfigError: If a field is unknown or wrong, or the model is another algorithm's.
        """
        name = type(self).__name__
        known = {*inspect.signature(super().__init__).parameters, *self.fields_class.__dataclass_fields__}
        check_fields(name, fields, known)
        cfg, host = split_fields(self.fields_class, fields)
        check_ppo_fields(host)
        policy = getattr(models_and_storage[0], "flow_policy", None)
        if type(policy) is not self.learner_class.policy_class:
            raise ConfigError(
                f"{name} needs a flow policy of its own, and {generation.MODEL_SECTION}.class_name is "
                f"{type(models_and_storage[0]).__name__}. Take {self.suitable_model}."
            )
        super().__init__(*models_and_storage, **host)
        self.learner = self.learner_class(generation.make_host(self), cfg)
        self.optimizer = self.learner.optimizer
        if self.storage is not None:
            self._make_room()

    @staticmethod
    def construct_algorithm(obs: TensorDict, env: Any, cfg: dict[str, Any], device: str) -> PPO:
        """Build models, storage and algorithm as RSL-RL 5.x does, after a look at the action space."""
        check_action_space(env)
        return PPO.construct_algorithm(obs, env, cfg, device)

    def init_storage(self, *args: Any, **kwargs: Any) -> None:
        """Create the rollout storage, with room for what the model stores. Called by RSL-RL's runners before 3.2."""
        super().init_storage(*args, **kwargs)
        self._make_room()

    def _make_room(self) -> None:
        """Add what the model stores to the stored observations, so that RSL-RL's generators hand it back."""
        policy = self.model.flow_policy
        shape = (*self.storage.actions.shape[:2], policy.stored_width)
        self.storage.observations[policy.stored_name] = self.storage.actions.new_zeros(shape)
        keep_dones_as_given(self.storage)

    @property
    def model(self) -> FlowModel:
        """The flow model, not compiled."""
        return generation.find_model(self)

    @property
    def learning_rate(self) -> float:
        """Present step size of the PPO update."""
        return self.learner.step_size.value if hasattr(self, "learner") else self._first_learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Tensor) -> None:
        if hasattr(self, "learner"):
            self.learner.step_size.set(value)
        else:
            self._first_learning_rate = float(value)

    def act(self, obs: TensorDict) -> Tensor:
        """Sample actions, and keep what they were made from for the update.

        Args:
            obs: Observation groups. Batch size: [num_envs].

        Returns:
            a. Shape: [num_envs, num_actions].
        """
        if self.storage.step == 0:  # not when it is built: whoever plays has few environments
            self.learner.check_sizes()
        self.learner.random_state.resume()
        with self.learner.clock.phase("act"):
            actions = super().act(obs)
        policy = self.model.flow_policy
        observations = obs.copy()
        observations[policy.stored_name] = policy.stored
        self.transition.observations = observations
        return actions

    def process_env_step(self, obs: TensorDict, rewards: Tensor, dones: Tensor, extras: dict[str, Any]) -> None:
        """Record a step of the environment, after a look at its form.

        Raises:
            EnvError: If it is not what RSL-RL takes.
        """
        check_step((obs, rewards, dones, extras), self.storage, self.model.flow_policy.stored_name)
        self.learner.last_observations = obs
        super().process_env_step(obs, rewards, dones, extras)

    def update(self) -> dict[str, float]:
        """Learn from the rollout; see :meth:`~rsl_dpcppo.learning.on_policy.OnPolicyLearner.update`."""
        return self.learner.update()
