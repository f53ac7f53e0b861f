# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields that off-policy diffusion policies and their algorithms share (arXiv 2502.00361).

Defaults are those with which the authors' code runs, but for what is said.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from math import log
from typing import Any, ClassVar

from rsl_dpcppo.config.checks import check_choice, check_float, check_int
from rsl_dpcppo.config.learner import SampledModelFields
from rsl_dpcppo.config.off_policy import FEW, MANY, OffPolicyCriticCfg, OffPolicyFields, OffPolicyRunnerCfg
from rsl_dpcppo.config.ppo import MANY_ENVS, NetworkCfg
from rsl_dpcppo.errors import ConfigError


@dataclass
class DiffusionModelFields(SampledModelFields):
    """The fields that a diffusion policy adds to those of RSL-RL's model."""

    flow_steps: int = 20
    """Denoising steps from noise to action, while training and at play time. The chain is nearly all that the
    algorithms cost."""

    flow_time_features: int = 16
    flow_frequencies: list[float] = field(default_factory=lambda: [20.0, 0.0063])
    """From 1 to 10000^(-7/8) radians a step, of which there are twenty."""

    num_candidates: int = 32
    """Actions that are drawn for each one that is taken: the one that the critics like best. Most of what is gained
    over one action comes from here, and so does the cost of acting. Critics that see other observations than the
    policy choose while training only."""

    action_scale: float = 1.0
    """Largest component of an action: half of the box's width. Tasks whose actions are offsets of joints, in which PPO
    takes as large ones as it likes, may need a larger one."""

    diffusion_beta_scale: float = 0.8
    """Variance that the last noising step adds. The variances rise linearly from next to nothing."""

    diffusion_start_scale: float = 0.5
    """Standard deviation of the noise that sampling begins with. The chain is trained for 1; the authors' is 0.5."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_int("num_candidates", self.num_candidates, minimum=1)
        for name in ("action_scale", "diffusion_start_scale"):
            check_float(name, getattr(self, name), minimum=0.0, minimum_excluded=True)
        check_float("diffusion_beta_scale", self.diffusion_beta_scale, minimum=0.0, maximum=1.0, minimum_excluded=True)


@dataclass
class DiffusionFields(OffPolicyFields):
    """The fields of an off-policy algorithm that trains a diffusion policy."""

    warmup_samples: int = 30_000
    reward_scale: float = 0.2
    policy_delay: int = 2

    num_target_candidates: int = 32
    """Actions that are drawn at each next state of a batch, of which the critics choose one for the targets. A chain
    of denoising steps each: with large batches take few."""

    q_scale: float = 5.0
    """Factor of Q beside the temperature alpha, for weights over actions of one state: exp(q_scale Q / alpha)."""

    temperature: str = "schedule"
    """Where alpha comes from. "schedule": from ``init_temperature`` down to 0.98 in some 150,000 gradient steps, as
    published, whatever the rewards. "dual": whatever keeps the weights at a divergence of ``kl_target`` from equal
    ones, which suits rewards of any size, and short runs."""

    init_temperature: float = 5.0
    """alpha that training begins with."""

    temperature_learning_rate: float = 7e-3
    """Step size of the temperature's Adam."""

    temperature_interval: int = 250
    """Gradient steps of the critics for each step of the schedule."""

    kl_target: float = 2.0
    """Divergence of the weights from equal ones, in nats, that the dual holds: below the logarithm of their number.
    Larger is greedier."""

    noise_scale: float = 0.1
    """Standard deviation of the noise added to actions while training: times alpha under the schedule."""

    actor_final_learning_rate: float = 3e-5
    """Step size of the policy in the end."""

    actor_rate_decay: list[int] = field(default_factory=lambda: [25_000, 75_000])
    """The policy's gradient steps between which its step size falls, linearly."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        for name in ("num_target_candidates", "temperature_interval"):
            check_int(name, getattr(self, name), minimum=1)
        check_choice("temperature", self.temperature, ("schedule", "dual"))
        for name in ("q_scale", "init_temperature", "temperature_learning_rate", "actor_final_learning_rate"):
            check_float(name, getattr(self, name), minimum=0.0, minimum_excluded=True)
        check_float("noise_scale", self.noise_scale, minimum=0.0)
        check_float("kl_target", self.kl_target, minimum=0.0, minimum_excluded=True)
        ends = self.actor_rate_decay = list(self.actor_rate_decay)
        if len(ends) != 2 or not all(isinstance(x, int) for x in ends) or not 0 <= ends[0] < ends[1]:
            raise ConfigError(f"actor_rate_decay is {ends!r}; it must be two whole numbers from 0, the first smaller.")
        if self.temperature == "dual" and self.kl_target >= log(self.num_weighted):
            raise ConfigError(
                f"kl_target is {self.kl_target!r}; weights of {self.num_weighted} actions differ from equal ones by "
                f"less than log {self.num_weighted}: it must be below {log(self.num_weighted):.2f}."
            )

    @property
    def num_weighted(self) -> int:
        """Number of actions of a state that are weighed against each other."""
        return self.num_target_candidates


@dataclass
class DiffusionActorCfg(DiffusionModelFields, NetworkCfg):
    """The policy of DPMD and SDAC."""

    hidden_dims: list[int] = field(default_factory=lambda: [256, 256, 256])
    activation: str = "mish"


@dataclass
class DiffusionCriticCfg(OffPolicyCriticCfg):
    """The twin critics of DPMD and SDAC."""

    hidden_dims: list[int] = field(default_factory=lambda: [256, 256, 256])
    activation: str = "mish"


DUAL = {"temperature": "dual", "temperature_learning_rate": 1e-2}
"""What suits rewards of any size. The temperature reaches its target within the first hundreds of gradient steps."""

FAST_ACTIVATION = {"activation": "relu"}
"""SAC's. The published mish takes a CPU core four times as long as the products of matrices beside it."""

NETWORKS_OF_FEW: dict[str, dict[str, Any]] = {
    "actor": {"num_candidates": 8, "flow_steps": 10, **FAST_ACTIVATION},
    "critic": FAST_ACTIVATION,
}
"""Fields of the models for few environments, which are where two CPU cores learn: half of the published chain."""

NETWORKS_OF_MANY: dict[str, dict[str, Any]] = {"actor": {"num_candidates": 4}}
"""The same for many."""


@dataclass
class DiffusionRunnerCfg(OffPolicyRunnerCfg):
    """An off-policy diffusion algorithm through RSL-RL's unmodified runner."""

    few: ClassVar[dict[str, Any]] = {**FEW, **DUAL, "updates_per_step": 2.0, "num_target_candidates": 4}
    many: ClassVar[dict[str, Any]] = {**MANY, **DUAL, "updates_per_step": 2.0, "num_target_candidates": 8}

    actor: DiffusionActorCfg = field(default_factory=DiffusionActorCfg)
    critic: NetworkCfg = field(default_factory=DiffusionCriticCfg)

    def sized(self, num_envs: int) -> DiffusionRunnerCfg:
        """Return the agent with the settings that suit a number of environments; other fields are left."""
        sized: Any = super().sized(num_envs)
        networks = NETWORKS_OF_MANY if num_envs >= MANY_ENVS else NETWORKS_OF_FEW
        changed = {name: dataclasses.replace(getattr(sized, name), **fields) for name, fields in networks.items()}
        return dataclasses.replace(sized, **changed)
