# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields that all flow policies and their algorithms share."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsl_dpcppo.config.checks import check_choice, check_frequencies, check_int, check_noise
from rsl_dpcppo.config.fields import Fields

COMPILE_MODES = ("auto", "none", "inductor", "cudagraph")
"""How sampler and gradient steps run."""


@dataclass
class LearnerFields(Fields):
    """The field that every algorithm adds to those of RSL-RL's PPO."""

    compile: str = "auto"
    """How acting and gradient steps run: "none", as written; "inductor", acting and losses through torch.compile,
    which needs a C++ compiler on the CPU; "cudagraph", all recorded as CUDA graphs; "auto", graphs on a GPU, as written
    elsewhere. With several GPUs, memory, symmetry, RND or RSL-RL's mixed precision nothing is recorded, and PPO's
    losses run as written."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_choice("compile", self.compile, COMPILE_MODES)


@dataclass
class SampledModelFields(Fields):
    """The fields that a model adds to those of RSL-RL's whose actions come from the flow alone.

    RSL-RL's ``hidden_dims`` and ``activation`` are those of the flow's network, the model's only one.
    """

    flow_steps: int = 10
    """Solver steps from noise to action, while training and at play time."""

    flow_time_features: int = 0
    """Number of sines and cosines in which the network sees the time, an even number; 0 for the time as it is."""

    flow_frequencies: list[float] = field(default_factory=lambda: [1.0, 1000.0])
    """First and last of their angular frequencies, in radians over the flow's length."""

    inference_noise: str = "random"
    """Initial noise at play time: "random", "zero", or a seed in digits that fixes one noise for every state.
    "zero" and a seed make the policy a function of the observation, which shows one of its modes only."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        super().__post_init__()
        check_int("flow_steps", self.flow_steps, minimum=1)
        check_int("flow_time_features", self.flow_time_features, minimum=0, even=True)
        self.flow_frequencies = check_frequencies("flow_frequencies", self.flow_frequencies)
        self.inference_noise = check_noise("inference_noise", self.inference_noise)
