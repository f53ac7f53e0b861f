# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the agents' configurations share: RSL-RL's fields, the learners' own, their checks, and the paper's tables.

The fields of one algorithm stand in its folder below :mod:`rsl_dpcppo.algorithms`.
"""

from rsl_dpcppo.config.checks import ACTIVATIONS, check_choice, check_int, check_name, check_noise
from rsl_dpcppo.config.fields import check_several_processes
from rsl_dpcppo.config.learner import LearnerFields, SampledModelFields
from rsl_dpcppo.config.ppo import (
    PPO_FIELDS,
    GaussianActorCfg,
    NetworkCfg,
    PPOAlgorithmCfg,
    PPORunnerCfg,
    RunnerCfg,
)

__all__ = [
    "ACTIVATIONS",
    "PPO_FIELDS",
    "GaussianActorCfg",
    "LearnerFields",
    "NetworkCfg",
    "PPOAlgorithmCfg",
    "PPORunnerCfg",
    "RunnerCfg",
    "SampledModelFields",
    "check_choice",
    "check_int",
    "check_name",
    "check_noise",
    "check_several_processes",
]
