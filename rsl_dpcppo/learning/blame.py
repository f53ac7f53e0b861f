# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Which of an environment's outputs no learner can take."""

from __future__ import annotations

from typing import Any

from rsl_dpcppo.learning.host import Rollout

LARGEST = 1e15
"""Largest output that a sum of squares over a rollout still holds in single precision."""


def blame_environment(rollout: Rollout, stored_name: str) -> str:
    """Return a sentence about the first output of a rollout that is not finite, or absurdly large; else nothing.

    Args:
        rollout: The rollout. Shape of its tensors: [num_steps, num_envs, ...].
        stored_name: What the policy stored beside the observations, which is not the environment's.
    """
    outputs: dict[str, Any] = {"reward": rollout.rewards}
    outputs |= {f"observation group '{name}'": x for name, x in rollout.observations.items() if name != stored_name}
    for name, values in outputs.items():
        if not values.is_floating_point():
            continue
        wrong = (~(values.abs() <= LARGEST)).nonzero()
        if len(wrong) > 0:
            step, env = wrong[0, :2].tolist()
            value = values[tuple(wrong[0])].item()
            return f"The environment gave {value:g} as {name}, in environment {env} at step {step} of the rollout."
    return ""
