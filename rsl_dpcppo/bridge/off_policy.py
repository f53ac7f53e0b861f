# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""An off-policy algorithm that RSL-RL's on-policy runner runs: a rollout is what fills the replay buffer."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from rsl_rl.algorithms import PPO
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.bridge.action_space import check_action_space
from rsl_dpcppo.bridge.contract import OffPolicyModels
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.errors import CheckpointError, ConfigError, EnvError, check_fields
from rsl_dpcppo.learning.environment import check_step
from rsl_dpcppo.learning.off_policy import OffPolicyLearner
from rsl_dpcppo.learning.replay import ReplayBuffer

FINAL = "final_obs"
"""Where extras have the observations after a step from before a new episode began."""


@dataclass
class Pending:
    """What waits for the environment's answer."""

    observations: TensorDict
    """Observation groups that the actions were made from."""
    actions: Tensor
    """Actions in [-1, 1]. Shape: [num_envs, num_actions]."""


class OffPolicy:
    """What RSL-RL's runner asks of an algorithm, with a replay buffer in the place of the rollout.

    RSL-RL's fields of PPO may stand in its section of the configuration, as hosts' classes always have them; of these
    it has ``gamma`` alone.
    """

    learner_class: ClassVar[type[OffPolicyLearner]]
    """The update."""
    fields_class: ClassVar[Any]
    """The algorithm's fields, a dataclass."""
    suitable_model: ClassVar[str]
    """The model to name beside the algorithm."""

    rnd: ClassVar[None] = None
    """RSL-RL's random network distillation, which is not there."""

    transition: Pending

    def __init__(self, models: OffPolicyModels, cfg: Any, device: str) -> None:
        """Take the models.

        Args:
            models: Policy and critics.
            cfg: Fields of ``fields_class``.
            device: torch's device.
        """
        self.device = device
        self.actor, self.critic = models.actor, models.critic
        self.learner = self.learner_class(models, cfg)

    @classmethod
    def construct_algorithm(cls, obs: TensorDict, env: Any, cfg: dict[str, Any], device: str) -> OffPolicy:
        """Build models and algorithm, after a look at the fields and the action space.

        Raises:
            ConfigError: If a field is unknown or wrong, or asks for what off-policy algorithms do not have.
        """
        check_action_space(env)
        cfg["algorithm"].setdefault("rnd_cfg", None)  # which the runners before 5.5 look up
        fields = cls._fields(cfg)
        models = generation.make_off_policy_models(obs, env.num_actions, cfg, fields.critic_layer_norm, device)
        policy = getattr(models.actor, "flow_policy", None)
        if type(policy) is not cls.learner_class.policy_class:
            raise ConfigError(
                f"{cls.__name__} needs a policy of its own, and {generation.MODEL_SECTION}.class_name is "
                f"'{type(models.actor).__name__}'. Take {cls.suitable_model}."
            )
        return cls(models, fields, device)

    @classmethod
    def _fields(cls, cfg: dict[str, Any]) -> Any:
        """Return the algorithm's fields, checked."""
        given = {name: value for name, value in cfg["algorithm"].items() if name != "class_name"}
        ours = cls.fields_class.__dataclass_fields__
        hosts = {name for name in inspect.signature(PPO.__init__).parameters if name != "self"}
        check_fields(cls.__name__, given, {*ours, *hosts, "share_cnn_encoders"})
        missing = {
            "algorithm.rnd_cfg": given.get("rnd_cfg"),
            "algorithm.symmetry_cfg": given.get("symmetry_cfg"),
            "multi_gpu": cfg.get("multi_gpu"),
            "torch_compile_mode": cfg.get("torch_compile_mode"),
        }
        for name, value in missing.items():
            if value:
                raise ConfigError(
                    f"{name} is {value!r}; {cls.__name__} knows neither random network distillation, nor symmetry, nor "
                    "several processes, and has a field 'compile' of its own: it must be None."
                )
        return cls.fields_class(**{name: value for name, value in given.items() if name in ours})

    @property
    def model(self) -> Any:
        """The policy's model."""
        return self.actor

    @property
    def storage(self) -> ReplayBuffer:
        """The replay buffer, in the place of RSL-RL's rollout storage."""
        return self.learner.buffer

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The policy's optimizer."""
        return self.learner.actor_optimizer

    @property
    def learning_rate(self) -> float:
        """Present step size of the policy, for the logger."""
        learner = self.learner
        return learner.actor_rate(learner.num_updates // learner.cfg.policy_delay)

    def act(self, obs: TensorDict) -> Tensor:
        """Explore.

        Args:
            obs: Observation groups. Batch size: [num_envs].

        Returns:
            Actions, in the environment's scale. Shape: [num_envs, num_actions].
        """
        observations = obs.select(*self.storage.observations.keys())
        self.transition = Pending(observations, self.learner.act(observations))
        actions = self.actor.head.action_scale * self.transition.actions
        self.actor.remember(actions)
        return actions

    def process_env_step(self, obs: TensorDict, rewards: Tensor, dones: Tensor, extras: dict[str, Any]) -> None:
        """Keep a step of the environment, after a look at its form.

        Raises:
            EnvError: If it is not what RSL-RL takes.
        """
        check_step((obs, rewards, dones, extras), self.storage)  # type: ignore[arg-type]
        time_outs = extras.get("time_outs")
        time_outs = torch.zeros_like(dones) if time_outs is None else time_outs.to(dones.device)
        pending, final = self.transition, extras.get(FINAL)
        after = obs.select(*self.storage.observations.keys())
        if final is not None:
            after = after_the_step(after, final, dones)
        self.learner.store(
            pending.observations, pending.actions, rewards, after, dones, time_outs, knows_last=final is not None
        )

    def compute_returns(self, obs: TensorDict) -> None:
        """Do nothing: returns are computed of what is drawn from the buffer."""

    def update(self) -> dict[str, float]:
        """Learn from the buffer; see :meth:`~rsl_dpcppo.learning.off_policy.OffPolicyLearner.update`."""
        return self.learner.update()

    def train_mode(self) -> None:
        """Set the networks to training."""
        self.actor.train()
        self.critic.train()

    def eval_mode(self) -> None:
        """Set the networks to evaluation."""
        self.actor.eval()
        self.critic.eval()

    def get_policy(self) -> Any:
        """Return the policy's model."""
        return self.actor

    def save(self) -> dict[str, Any]:
        """Return weights, optimizers and the learner's state."""
        return {
            "actor_state_dict": self.actor.state_dict(),
            "critic_state_dict": self.critic.state_dict(),
            "optimizer_state_dict": {name: x.state_dict() for name, x in self.learner.optimizers().items()},
            "learner_state_dict": self.learner.state_dict(),
        }

    def load(self, loaded_dict: dict[str, Any], load_cfg: dict[str, bool] | None, strict: bool) -> bool:
        """Restore what :meth:`save` returned, or parts.

        Args:
            loaded_dict: What was saved.
            load_cfg: Parts to restore, by RSL-RL's names "actor", "critic", "optimizer" and "iteration"; None for all.
            strict: Whether the networks' weights must be those that there are.

        Returns:
            Whether the iteration's number is to be restored.

        Raises:
            CheckpointError: If it is another algorithm's.
        """
        parts = load_cfg or dict.fromkeys(("actor", "critic", "optimizer", "iteration"), True)
        name = loaded_dict.get("learner_state_dict", {}).get("algorithm")
        if name != self.learner.name:
            raise CheckpointError(f"The checkpoint is not {self.learner.name}'s: it was written by another algorithm.")
        if parts.get("actor"):
            self.actor.load_state_dict(loaded_dict["actor_state_dict"], strict=strict)
        if parts.get("critic"):
            self.critic.load_state_dict(loaded_dict["critic_state_dict"], strict=strict)
        if parts.get("optimizer"):
            self.learner.load_state_dict(loaded_dict["learner_state_dict"], loaded_dict["optimizer_state_dict"])
        return bool(parts.get("iteration"))


def after_the_step(observations: TensorDict, final: Any, dones: Tensor) -> TensorDict:
    """Return the observations after a step, those of the episodes that ended in it included.

    Args:
        observations: Observation groups after it, of the next episode where one ended. Batch size: [num_envs].
        final: Groups of the same names, or one tensor for a single group, which count where an episode ended.
        dones: Where that was. Shape: [num_envs].

    Raises:
        EnvError: If ``final`` is not that.
    """
    names = list(observations.keys())
    groups = {names[0]: final} if isinstance(final, Tensor) and len(names) == 1 else final
    try:
        shapes = {name: groups[name].shape for name in names}
    except (KeyError, TypeError, AttributeError, IndexError):
        shapes = {}
    expected = {name: x.shape for name, x in observations.items()}
    if shapes != expected:
        raise EnvError(
            f"The environment gave extras['{FINAL}'] of shapes { {k: list(v) for k, v in shapes.items()} }; it must "
            f"have the observation groups { {k: list(v) for k, v in expected.items()} }."
        )

    def merged(name: str, x: Any) -> Tensor:
        ended = (dones > 0).view(-1, *[1] * (x.dim() - 1))
        return torch.where(ended, groups[name].to(x.device, x.dtype), x)

    return TensorDict({name: merged(name, x) for name, x in observations.items()}, observations.batch_size)
