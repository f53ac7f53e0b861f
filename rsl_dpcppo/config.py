# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Typed configuration of DP-CPPO and of RSL-RL's PPO.

:func:`rsl_dpcppo.hosts.rsl_rl.train_cfg.to_rsl_rl` makes it the dictionary that RSL-RL's runner takes.

Defaults are those of arXiv 2603.04790, Table 5 (flow) and Table 6 (Isaac-Ant-v0), and RSL-RL's own where the paper
is silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rsl_dpcppo.errors import ConfigError

SOLVERS = ("euler", "midpoint")
"""Fixed-step ODE solvers: explicit Euler (one evaluation a step) and the explicit midpoint rule (two)."""

INFERENCE_POLICIES = ("flow_residual", "flow")
"""What acts at play time: flow plus the mean residual, or the flow alone (the two rows of the paper's Table 3)."""

FLOW_TARGETS = ("fresh", "stored")
"""Base actions of the fit's targets: newly sampled from the flow, or those of the rollout."""

FLOW_NOISES = ("fresh", "kept")
"""Noise of the fit's pairs: drawn anew for each, or that from which the flow made the pair's action."""

FLOW_PRECISIONS = ("float32", "bfloat16")
"""Precisions of the flow's matrix products while training."""

COMPILE_MODES = ("auto", "none", "inductor", "cudagraph")
"""How sampler and gradient steps run."""


@dataclass
class FlowFields:
    """The fields that a flow model adds to those of RSL-RL's model."""

    flow_hidden_dims: list[int] = field(default_factory=lambda: [400, 200, 100])
    """Widths of the velocity field's hidden layers. The paper takes those of the Gaussian policy."""

    flow_activation: str = "elu"
    """Activation of the velocity field, by RSL-RL's names. The paper uses mish for Quadcopter and Navigation."""

    flow_steps: int = 16
    """Solver steps from noise to base action, while training and at play time. 2 to 32 return about the same reward;
    fewer are faster."""

    flow_solver: str = "euler"
    """"euler" or "midpoint". Midpoint evaluates the network twice a step and needs fewer steps."""

    residual_frequencies: int = 0
    """Octaves of sine and cosine of the base action that the residual sees beside it. With 3 or 4 it can push nearby
    base actions apart, which holds the modes, and it starts at zero. 0 is the paper's network."""

    inference_policy: str = "flow_residual"
    """Who acts at play time: "flow_residual" adds the residual's mean to the flow's action, "flow" does not."""

    inference_noise: str = "random"
    """Initial noise at play time: "random", "zero", or a seed in digits that fixes one noise for every state.
    "zero" and a seed make the policy a function of the observation, which shows one of its modes only."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        self.flow_hidden_dims = _widths("flow_hidden_dims", self.flow_hidden_dims)
        _check_activation("flow_activation", self.flow_activation)
        check_int("flow_steps", self.flow_steps, minimum=1)
        check_choice("flow_solver", self.flow_solver, SOLVERS)
        check_int("residual_frequencies", self.residual_frequencies, minimum=0)
        check_choice("inference_policy", self.inference_policy, INFERENCE_POLICIES)
        self.inference_noise = check_noise("inference_noise", self.inference_noise)


@dataclass
class DPCPPOFields:
    """The fields that DP-CPPO adds to those of RSL-RL's PPO."""

    score_coef: float = 0.1
    """Weight beta of the score regulariser (15). 0.1 suits nearly every task of the paper; Quadcopter takes 0.5."""

    flow_learning_rate: float = 1e-3
    """Step size of the flow's own Adam, fixed. PPO's adaptive rate does not touch it."""

    flow_num_epochs: int = 15
    """Passes of the flow-matching fit over each rollout. Fewer are faster and improve more slowly (Figure 7)."""

    flow_num_mini_batches: int = 4
    """Gradient steps of each pass."""

    flow_ema_decay: float = 0.999
    """Share of the averaged flow weights kept at each gradient step. 0.999 at 60 steps an iteration looks back 17
    iterations; take 0.99 for runs of about 100 iterations. 0 turns averaging off, which the paper found unstable."""

    flow_target: str = "fresh"
    """"fresh" samples new base actions for the fit; "stored" takes the rollout's, which saves a pass through the flow
    and is slightly worse."""

    flow_noise: str = "fresh"
    """Noise of the fit's pairs: "fresh" draws it anew, as the paper does; "kept" takes the noise that the flow made the
    pair's base action from, so that each noise keeps its way of acting, which holds the modes."""

    base_action_baseline: bool = False
    """Whether advantages are compared around each base action, by a learned E[A | s, a0], rather than over all of them.
    Holds modes that return differently while they are learned. For models without memory, on one process."""

    flow_fit_tolerance: float = 0.0
    """End the fit once an epoch's loss is not below (1 - tolerance) times the best so far; 0.0 does every epoch.
    Costs one host-device synchronisation an epoch."""

    flow_steps: int = 0
    """Solver steps instead of the model's own; 0 keeps the model's. Here so that one override reaches it in both
    RSL-RL generations, which call the model "policy" and "actor"."""

    flow_precision: str = "float32"
    """Precision of the flow's matrix products while training: "float32", or "bfloat16", which is faster where the
    processor has it. The kernel's update stays in single precision, and so do playing and export."""

    compile: str = "auto"
    """How sampler and gradient steps run: "none", as written; "inductor", the flow's through torch.compile, which needs
    a C++ compiler on the CPU; "cudagraph", all recorded as CUDA graphs; "auto", graphs on a GPU, as written elsewhere.
    What cannot be recorded (several GPUs, memory, symmetry, RND, RSL-RL's mixed precision) runs as written."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        check_choice("flow_precision", self.flow_precision, FLOW_PRECISIONS)
        check_choice("compile", self.compile, COMPILE_MODES)
        _check_float("score_coef", self.score_coef, minimum=0.0)
        _check_float("flow_learning_rate", self.flow_learning_rate, minimum=0.0, minimum_excluded=True)
        check_int("flow_num_epochs", self.flow_num_epochs, minimum=1)
        check_int("flow_num_mini_batches", self.flow_num_mini_batches, minimum=1)
        _check_float("flow_ema_decay", self.flow_ema_decay, minimum=0.0, below=1.0)
        if not isinstance(self.base_action_baseline, bool):
            raise ConfigError(f"base_action_baseline is {self.base_action_baseline!r}; it must be True or False.")
        check_choice("flow_target", self.flow_target, FLOW_TARGETS)
        check_choice("flow_noise", self.flow_noise, FLOW_NOISES)
        if self.flow_noise == "kept" and self.flow_target == "stored":
            raise ConfigError(
                "flow_target is 'stored', and flow_noise is 'kept'; the noise of the rollout's base actions is not "
                "stored: flow_target must be 'fresh', or flow_noise 'fresh'."
            )
        _check_float("flow_fit_tolerance", self.flow_fit_tolerance, minimum=0.0, below=1.0)
        check_int("flow_steps", self.flow_steps, minimum=0)


@dataclass
class NetworkCfg:
    """A multi-layer perceptron of RSL-RL."""

    hidden_dims: list[int] = field(default_factory=lambda: [400, 200, 100])
    """Widths of the hidden layers."""

    activation: str = "elu"
    """Activation, by RSL-RL's names. RSL-RL 3.x has one for actor and critic: the actor's."""

    obs_normalization: bool = False
    """Whether observations are normalised by their running mean and standard deviation."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        self.hidden_dims = _widths("hidden_dims", self.hidden_dims)
        _check_activation("activation", self.activation)


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
        _check_float("init_std", self.init_std, minimum=0.0, minimum_excluded=True)
        check_choice("std_type", self.std_type, ("scalar", "log"))


@dataclass
class FlowActorCfg(FlowFields, GaussianActorCfg):
    """The flow policy: RSL-RL's own fields describe the residual kernel, the ``flow_`` fields the flow."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        FlowFields.__post_init__(self)
        GaussianActorCfg.__post_init__(self)


@dataclass
class PPOAlgorithmCfg:
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
    """Largest norm of the gradient."""

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
        for name in ("num_learning_epochs", "num_mini_batches"):
            check_int(name, getattr(self, name), minimum=1)
        for name in ("clip_param", "learning_rate", "max_grad_norm", "desired_kl"):
            _check_float(name, getattr(self, name), minimum=0.0, minimum_excluded=True)
        for name in ("gamma", "lam", "value_loss_coef", "entropy_coef"):
            _check_float(name, getattr(self, name), minimum=0.0)
        check_choice("schedule", self.schedule, ("adaptive", "fixed"))


@dataclass
class DPCPPOAlgorithmCfg(DPCPPOFields, PPOAlgorithmCfg):
    """DP-CPPO: RSL-RL's fields for the conditional PPO step, ours for the regulariser and the flow's fit."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        DPCPPOFields.__post_init__(self)
        PPOAlgorithmCfg.__post_init__(self)


@dataclass
class RunnerCfg:
    """RSL-RL's on-policy runner. Names and meanings are RSL-RL's and Isaac Lab's."""

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

    def __post_init__(self) -> None:
        """Check types and ranges."""
        for name in ("num_envs", "num_steps_per_env", "max_iterations", "save_interval"):
            check_int(name, getattr(self, name), minimum=1)
        check_choice("logger", self.logger, ("tensorboard", "wandb", "neptune"))


@dataclass
class PPORunnerCfg(RunnerCfg):
    """Stock Gaussian PPO of RSL-RL."""

    actor: GaussianActorCfg = field(default_factory=GaussianActorCfg)
    critic: NetworkCfg = field(default_factory=NetworkCfg)
    algorithm: PPOAlgorithmCfg = field(default_factory=PPOAlgorithmCfg)


@dataclass
class DPCPPORunnerCfg(RunnerCfg):
    """DP-CPPO through RSL-RL's unmodified runner."""

    actor: FlowActorCfg = field(default_factory=FlowActorCfg)
    critic: NetworkCfg = field(default_factory=NetworkCfg)
    algorithm: DPCPPOAlgorithmCfg = field(default_factory=DPCPPOAlgorithmCfg)


def check_noise(name: str, value: Any) -> str:
    """Return the noise setting as text: "random", "zero", or a seed in digits.

    Raises:
        ConfigError: If it is none of these.
    """
    text = str(value)
    is_seed = text.isascii() and text.isdigit() and len(text) < 19  # what a generator takes as a seed
    if isinstance(value, bool) or not (text in ("random", "zero") or is_seed):
        raise ConfigError(f"{name} is {value!r}; it must be 'random', 'zero' or a seed (a whole number from 0).")
    return text


def _check_activation(name: str, value: Any) -> None:
    from rsl_rl.utils import resolve_nn_activation

    try:
        resolve_nn_activation(value)
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{name} is {value!r}; it must be one of RSL-RL's names. {error}") from None


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless the value is one of the choices."""
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(repr(choice) for choice in choices)}.")


def check_int(name: str, value: Any, *, minimum: int) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` unless the value is a whole number from the minimum."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number, {minimum} or more.")


def _check_float(
    name: str, value: Any, *, minimum: float, below: float = float("inf"), minimum_excluded: bool = False
) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not (minimum <= value < below) or (minimum_excluded and value == minimum):
        lower = f"above {minimum}" if minimum_excluded else f"{minimum} or more"
        upper = "" if below == float("inf") else f" and below {below}"
        raise ConfigError(f"{name} is {value!r}; it must be a number, {lower}{upper}.")


def _widths(name: str, value: Any) -> list[int]:
    widths = list(value) if isinstance(value, (list, tuple)) else []
    if not widths or any(isinstance(width, bool) or not isinstance(width, int) or width < 1 for width in widths):
        raise ConfigError(f"{name} is {value!r}; it must be a list of at least one whole number, each 1 or more.")
    return widths
