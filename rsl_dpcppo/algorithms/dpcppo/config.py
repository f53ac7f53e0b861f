# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of DP-CPPO. Defaults are those of arXiv 2603.04790, Table 5 (flow) and Table 6 (Isaac-Ant-v0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from rsl_dpcppo.config.checks import (
    check_activation,
    check_bool,
    check_choice,
    check_float,
    check_int,
    check_noise,
    check_widths,
)
from rsl_dpcppo.config.fields import Fields, one_process
from rsl_dpcppo.config.learner import LearnerFields
from rsl_dpcppo.config.paper import TABLE_5
from rsl_dpcppo.config.ppo import PPO_FIELDS, GaussianActorCfg, PPOAlgorithmCfg, RunnerCfg
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


@dataclass
class FlowFields(Fields):
    """The fields that a flow model adds to those of RSL-RL's model."""

    flow_hidden_dims: list[int] = field(default_factory=lambda: [400, 200, 100])
    """Widths of the velocity field's hidden layers. The paper takes those of the Gaussian policy."""

    flow_context_dims: list[int] = field(default_factory=list)
    """Widths of layers before those, over the observation alone. They run once for each base action, the others at
    every solver step, so that sampling costs less with many of the former and few of the latter. The paper has none."""

    flow_activation: str = "elu"
    """Activation of the velocity field, by RSL-RL's names. The paper uses mish for Quadcopter and Navigation."""

    flow_steps: int = TABLE_5.flow_steps
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
        super().__post_init__()
        self.flow_hidden_dims = check_widths("flow_hidden_dims", self.flow_hidden_dims)
        self.flow_context_dims = check_widths("flow_context_dims", self.flow_context_dims, minimum_number=0)
        check_activation("flow_activation", self.flow_activation)
        check_int("flow_steps", self.flow_steps, minimum=1)
        check_choice("flow_solver", self.flow_solver, SOLVERS)
        check_int("residual_frequencies", self.residual_frequencies, minimum=0, maximum=16)
        check_choice("inference_policy", self.inference_policy, INFERENCE_POLICIES)
        self.inference_noise = check_noise("inference_noise", self.inference_noise)

    @classmethod
    def like_network(cls, hidden_dims: Sequence[int], activation: str) -> dict[str, Any]:
        """Return the fields of a flow that goes with a task's network of these widths and this activation."""
        return {"flow_hidden_dims": list(hidden_dims), "flow_activation": activation}


@dataclass
class FlowFitFields(LearnerFields):
    """The fields of a flow that is fitted beside RSL-RL's PPO."""

    flow_learning_rate: float = TABLE_5.learning_rate
    """Step size of the flow's own Adam. PPO's adaptive rate does not touch it."""

    flow_num_epochs: int = TABLE_5.num_epochs
    """Passes of the flow-matching fit over its samples. Fewer are faster and improve more slowly (Figure 7)."""

    flow_num_mini_batches: int = TABLE_5.num_mini_batches
    """Gradient steps of each pass."""

    flow_steps: int = 0
    """Solver steps instead of the model's own; 0 keeps the model's. Here so that one override reaches it in both
    RSL-RL generations, which call the model "policy" and "actor"."""

    flow_precision: str = "float32"
    """Precision of the flow's matrix products while training: "float32", or "bfloat16", which is faster where the
    processor has it. The kernel's update stays in single precision, and so do playing and export."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_float("flow_learning_rate", self.flow_learning_rate, minimum=0.0, minimum_excluded=True)
        check_int("flow_num_epochs", self.flow_num_epochs, minimum=1)
        check_int("flow_num_mini_batches", self.flow_num_mini_batches, minimum=1)
        check_int("flow_steps", self.flow_steps, minimum=0)
        check_choice("flow_precision", self.flow_precision, FLOW_PRECISIONS)


@dataclass
class DPCPPOFields(FlowFitFields):
    """The fields that DP-CPPO adds to those of RSL-RL's PPO."""

    score_coef: float = 0.1
    """Weight beta of the score regulariser (15). 0.1 suits nearly every task of the paper; Quadcopter takes 0.5."""

    flow_ema_decay: float = TABLE_5.ema_decay
    """Share of the averaged flow weights kept at each gradient step. 0.999 at 60 steps an iteration looks back 17
    iterations; take 0.99 for runs of about 100 iterations. 0 turns averaging off, which the paper found unstable."""

    flow_target: str = "fresh"
    """"fresh" samples new base actions for the fit; "stored" takes the rollout's, which saves a pass through the flow
    and is slightly worse."""

    flow_noise: str = "fresh"
    """Noise of the fit's pairs: "fresh" draws it anew, as the paper does; "kept" takes the noise that the flow made the
    pair's base action from, so that each noise keeps its way of acting, which holds the modes."""

    base_action_baseline: bool = field(default=False, metadata=one_process(True))
    """Whether advantages are compared around each base action, by a learned E[A | s, a0], rather than over all of them.
    Holds modes that return differently while they are learned. For models without memory, on one process."""

    flow_fit_tolerance: float = 0.0
    """End the fit once an epoch's loss is not below (1 - tolerance) times the best so far; 0.0 does every epoch.
    Costs one host-device synchronisation an epoch."""

    log_entropy: bool = False
    """Whether the entropy of the policy, and of its flow alone, is logged beside the kernel's, which the bonus raises
    (Figure 10). Costs some hundred evaluations of the flow's network an iteration; changes nothing else."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_float("score_coef", self.score_coef, minimum=0.0)
        check_float("flow_ema_decay", self.flow_ema_decay, minimum=0.0, below=1.0)
        check_bool("base_action_baseline", self.base_action_baseline)
        check_bool("log_entropy", self.log_entropy)
        check_choice("flow_target", self.flow_target, FLOW_TARGETS)
        check_choice("flow_noise", self.flow_noise, FLOW_NOISES)
        if self.flow_noise == "kept" and self.flow_target == "stored":
            raise ConfigError(
                "flow_target is 'stored', and flow_noise is 'kept'; the noise of the rollout's base actions is not "
                "stored: flow_target must be 'fresh', or flow_noise 'fresh'."
            )
        check_float("flow_fit_tolerance", self.flow_fit_tolerance, minimum=0.0, below=1.0)


@dataclass
class FlowActorCfg(FlowFields, GaussianActorCfg):
    """The flow policy: RSL-RL's own fields describe the residual kernel, the ``flow_`` fields the flow."""


@dataclass
class DPCPPOAlgorithmCfg(DPCPPOFields, PPOAlgorithmCfg):
    """DP-CPPO: RSL-RL's fields for the conditional PPO step, ours for the regulariser and the flow's fit."""


@dataclass
class DPCPPORunnerCfg(RunnerCfg):
    """DP-CPPO through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "dpcppo"
    task_fields: ClassVar[tuple[str, ...]] = PPO_FIELDS

    actor: FlowActorCfg = field(default_factory=FlowActorCfg)
    algorithm: DPCPPOAlgorithmCfg = field(default_factory=DPCPPOAlgorithmCfg)

    def __post_init__(self) -> None:
        """Check types and ranges, and give the number of solver steps to the actor, whose it is."""
        super().__post_init__()
        if self.algorithm.flow_steps:
            self.actor = replace(self.actor, flow_steps=self.algorithm.flow_steps)
            self.algorithm = replace(self.algorithm, flow_steps=0)
