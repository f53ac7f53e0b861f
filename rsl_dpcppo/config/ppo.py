# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL's runner and its Gaussian PPO. Names and meanings are RSL-RL's, defaults those of Table 6 (Isaac-Ant-v0)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from rsl_dpcppo.config.checks import (
    check_activation,
    check_bool,
    check_choice,
    check_float,
    check_int,
    check_name,
    check_widths,
)
from rsl_dpcppo.config.fields import Fields

MOST_ITERATIONS = 10**8
"""More than any run has. Checkpoints count to ten times that, over all resumptions."""

LOGGERS = ("tensorboard", "wandb", "neptune")
"""Where RSL-RL logs to."""

MANY_ENVS = 256
"""Number of environments from which on an agent has the settings for many."""

LARGEST_SEED = 2**32 - 1
"""What NumPy's generators take, which environments use."""


@dataclass
class NetworkCfg(Fields):
    """A multi-layer perceptron of RSL-RL."""

    hidden_dims: list[int] = field(default_factory=lambda: [400, 200, 100])
    """Widths of the hidden layers."""

    activation: str = "elu"
    """Activation, by RSL-RL's names. RSL-RL 3.x has one for actor and critic: the actor's."""

    obs_normalization: bool = False
    """Whether observations are normalised by their running mean and standard deviation."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        self.hidden_dims = check_widths("hidden_dims", self.hidden_dims)
        check_activation("activation", self.activation)
        check_bool("obs_normalization", self.obs_normalization)


@dataclass
class GaussianActorCfg(NetworkCfg):
    """The Gaussian policy of stock PPO."""

    init_std: float = 1.0
    """Standard deviation that exploration starts from, in actions."""

    std_type: str = "scalar"
    """What is learned: "scalar", the standard deviation, or "log", its logarithm, which stays positive."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_float("init_std", self.init_std, minimum=0.0, minimum_excluded=True)
        check_choice("std_type", self.std_type, ("scalar", "log"))


@dataclass
class PPOAlgorithmCfg(Fields):
    """RSL-RL's PPO. Names and meanings are RSL-RL's."""

    num_learning_epochs: int = 5
    """Passes over each rollout."""

    num_mini_batches: int = 4
    """Gradient steps of each pass."""

    clip_param: float = 0.2
    """Clip range of the probability ratio, and of the value's change."""

    gamma: float = 0.99
    """Discount factor."""

    lam: float = 0.95
    """Lambda of the generalised advantage estimate."""

    value_loss_coef: float = 1.0
    """Weight of the value loss."""

    entropy_coef: float = 0.005
    """Weight of the entropy bonus. For DP-CPPO it is the kernel's entropy (14), a lower bound of the policy's."""

    learning_rate: float = 5e-4
    """Step size that Adam starts with."""

    max_grad_norm: float = 1.0
    """Largest norm of the gradient, of policy and value function together; infinite for none."""

    use_clipped_value_loss: bool = True
    """Whether the value may move by at most ``clip_param``."""

    schedule: str = "adaptive"
    """"adaptive" keeps the KL divergence near ``desired_kl``, "fixed" keeps the learning rate."""

    desired_kl: float = 0.01
    """KL divergence of one update that the adaptive schedule aims at."""

    normalize_advantage_per_mini_batch: bool = False
    """Whether advantages are normalised per mini-batch rather than per rollout."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        for name in ("num_learning_epochs", "num_mini_batches"):
            check_int(name, getattr(self, name), minimum=1)
        for name in ("clip_param", "learning_rate", "desired_kl"):
            check_float(name, getattr(self, name), minimum=0.0, minimum_excluded=True)
        check_float("max_grad_norm", self.max_grad_norm, minimum=0.0, minimum_excluded=True, may_be_infinite=True)
        for name in ("gamma", "lam"):
            check_float(name, getattr(self, name), minimum=0.0, maximum=1.0)
        for name in ("value_loss_coef", "entropy_coef"):
            check_float(name, getattr(self, name), minimum=0.0)
        for name in ("use_clipped_value_loss", "normalize_advantage_per_mini_batch"):
            check_bool(name, getattr(self, name))
        check_choice("schedule", self.schedule, ("adaptive", "fixed"))


TASK_FIELDS = (
    "gamma",
    "lam",
    "value_loss_coef",
)
"""Fields of PPO that belong to the task rather than to the algorithm."""

PPO_FIELDS = tuple(x.name for x in fields(PPOAlgorithmCfg))
"""All fields of PPO."""


def check_ppo_fields(given: dict[str, Any]) -> None:
    """Check fields of RSL-RL's PPO, as far as this package has them, wherever they come from.

    Args:
        given: Values by name. A ``desired_kl`` of None is RSL-RL's word for no adaptive step size.

    Raises:
        ConfigError: Names the field, its value and what would be right.
    """
    PPOAlgorithmCfg(**{name: value for name, value in given.items() if name in PPO_FIELDS and value is not None})


@dataclass
class RunnerCfg(Fields):
    """RSL-RL's on-policy runner. Names and meanings are RSL-RL's and Isaac Lab's."""

    name: ClassVar[str]
    """Name of the algorithm, by which the registry of the algorithms knows it."""

    task_fields: ClassVar[tuple[str, ...]] = TASK_FIELDS
    """Fields of PPO in which an agent follows its task; the others are its paper's."""

    seed: int = 42
    """Seed of the networks, the sampling and the environment."""

    num_envs: int = 4096
    """Environments that run in parallel."""

    num_steps_per_env: int = 32
    """Steps of each environment between two updates."""

    max_iterations: int = 1000
    """Updates of a run."""

    save_interval: int = 50
    """Updates between two checkpoints."""

    experiment_name: str = "experiment"
    """Folder of the runs under logs/rsl_rl."""

    run_name: str = ""
    """Added to the run's folder, after date and time."""

    logger: str = "tensorboard"
    """"tensorboard", "wandb" or "neptune"."""

    wandb_project: str = "rsl_dpcppo"
    """Project of the runs at W&B."""

    neptune_project: str = "rsl_dpcppo"
    """Project of the runs at Neptune."""

    actor: NetworkCfg = field(default_factory=NetworkCfg)
    """The policy."""

    critic: NetworkCfg = field(default_factory=NetworkCfg)
    """The value function."""

    algorithm: PPOAlgorithmCfg = field(default_factory=PPOAlgorithmCfg)
    """The algorithm."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_int("num_envs", self.num_envs, minimum=1)
        check_int("num_steps_per_env", self.num_steps_per_env, minimum=1)
        for name in ("max_iterations", "save_interval"):
            check_int(name, getattr(self, name), minimum=1, maximum=MOST_ITERATIONS)
        check_int("seed", self.seed, minimum=0, maximum=LARGEST_SEED)
        check_name("experiment_name", self.experiment_name, may_be_nested=True)
        check_name("run_name", self.run_name, may_be_empty=True)
        check_choice("logger", self.logger, LOGGERS)

    def sized(self, num_envs: int) -> RunnerCfg:
        """Return the agent with what its algorithm sets by the number of environments: nothing, unless it says so."""
        return self


@dataclass
class PPORunnerCfg(RunnerCfg):
    """Stock Gaussian PPO of RSL-RL."""

    name: ClassVar[str] = "ppo"
    task_fields: ClassVar[tuple[str, ...]] = PPO_FIELDS

    actor: GaussianActorCfg = field(default_factory=GaussianActorCfg)
