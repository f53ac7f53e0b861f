# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields that algorithms share which learn from a replay buffer, whose policy need not be the present one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rsl_dpcppo.config.checks import LARGEST_COUNT, check_bool, check_float, check_int
from rsl_dpcppo.config.learner import LearnerFields
from rsl_dpcppo.config.ppo import MANY_ENVS, NetworkCfg, RunnerCfg

FEW = {"warmup_samples": 5_000, "updates_per_step": 4.0}
"""Settings for tens of environments on a CPU: an update for each few samples, as without a simulator on a GPU."""

MANY = {"warmup_samples": 20_000, "updates_per_step": 4.0, "target_decay": 0.95, "critic_layer_norm": True}
"""Settings for hundreds of environments and more, after FastTD3 (arXiv 2505.22642) and FastSAC."""

ROWS_OF_MANY = 1024
"""Steps of each environment that are kept where there are many."""

SAMPLES_OF_MANY = (1_024, 8_192)
"""Smallest and largest batch where there are many; between them it is two samples of each environment."""


@dataclass
class OffPolicyFields(LearnerFields):
    """The fields of an algorithm that learns from a replay buffer."""

    gamma: float = 0.99
    """Discount factor."""

    batch_size: int = 256
    """Samples of a gradient step."""

    updates_per_step: float = 1.0
    """Gradient steps of the critics for each step of all environments together. More learn more from each sample, and
    cost time."""

    replay_size: int = 1_000_000
    """Samples that the replay buffer keeps, of all environments together, on the learner's device."""

    warmup_samples: int = 10_000
    """Samples before the first gradient step, with actions drawn uniformly. After a resumption without a buffer, the
    same number of samples are collected with the policy first."""

    return_steps: int = 1
    """Steps of reward in the critics' targets. More carry rewards back faster, and are biased by old actions."""

    reward_scale: float = 1.0
    """Factor of the rewards in the critics' targets: how much they weigh beside the entropy."""

    actor_learning_rate: float = 3e-4
    """Step size of the policy's Adam."""

    critic_learning_rate: float = 3e-4
    """Step size of the critics' Adam."""

    target_decay: float = 0.995
    """Share of the averaged weights that is kept at each average. Many environments, with much new data between two
    updates, take a smaller one."""

    policy_delay: int = 1
    """Gradient steps of the critics for each one of the policy."""

    critic_layer_norm: bool = False
    """Whether the critics' hidden layers are normalised, which holds their values with many updates and large
    batches."""

    save_buffer: bool = False
    """Whether checkpoints hold the replay buffer, which makes a resumed run the run that was not interrupted. They are
    as large as it is then. Otherwise ``warmup_samples`` are collected before learning goes on."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_float("gamma", self.gamma, minimum=0.0, maximum=1.0)
        for name in ("batch_size", "warmup_samples", "return_steps", "policy_delay"):
            check_int(name, getattr(self, name), minimum=1)
        check_int("replay_size", self.replay_size, minimum=1, maximum=ROWS_OF_MANY * LARGEST_COUNT)
        for name in ("updates_per_step", "reward_scale", "actor_learning_rate", "critic_learning_rate"):
            check_float(name, getattr(self, name), minimum=0.0, minimum_excluded=True)
        check_float("target_decay", self.target_decay, minimum=0.0, below=1.0)
        for name in ("critic_layer_norm", "save_buffer"):
            check_bool(name, getattr(self, name))


@dataclass
class OffPolicyCriticCfg(NetworkCfg):
    """The twin critics Q(s, a). Their normaliser is the policy's where they see the same observations."""

    hidden_dims: list[int] = field(default_factory=lambda: [256, 256])
    activation: str = "relu"


@dataclass
class OffPolicyRunnerCfg(RunnerCfg):
    """An off-policy algorithm through RSL-RL's unmodified on-policy runner."""

    task_fields: ClassVar[tuple[str, ...]] = ("gamma",)
    few: ClassVar[dict[str, Any]] = FEW
    """Values of the algorithm's fields for few environments."""
    many: ClassVar[dict[str, Any]] = MANY
    """The same for many."""

    critic: NetworkCfg = field(default_factory=OffPolicyCriticCfg)
    algorithm: Any = field(default_factory=OffPolicyFields)

    def sized(self, num_envs: int) -> OffPolicyRunnerCfg:
        """Return the agent with the settings that suit a number of environments; other fields are left."""
        values, networks = dict(self.few), {}
        if num_envs >= MANY_ENVS:
            smallest, largest = SAMPLES_OF_MANY
            batch_size = min(max(2 * num_envs, smallest), largest)
            values = {"replay_size": ROWS_OF_MANY * num_envs, "batch_size": batch_size, **self.many}
            networks = {
                name: dataclasses.replace(getattr(self, name), obs_normalization=True) for name in ("actor", "critic")
            }
        return dataclasses.replace(self, algorithm=dataclasses.replace(self.algorithm, **values), **networks)
