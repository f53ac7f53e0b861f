# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How many samples there are to learn from, and that there are not more mini-batches than that."""

from __future__ import annotations

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.learning.host import Host


def num_dealt(host: Host) -> int:
    """Return how many samples of a rollout its mini-batches hold: RSL-RL leaves out what does not divide evenly."""
    num_steps, num_envs = host.rollout.rewards.shape[:2]
    parts, size = (num_envs, num_steps) if host.is_recurrent else (num_steps * num_envs, 1)
    number = host.ppo.num_mini_batches
    return parts // number * number * size


def check_rollout(host: Host) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` if PPO has more mini-batches than a rollout can be divided into.

    Memories are trained on all steps of an environment at once, and a spread of advantages takes two.
    """
    num_steps, num_envs = host.rollout.rewards.shape[:2]
    parts, each = f"{num_steps * num_envs} steps", 2 if host.ppo.normalize_advantage_per_mini_batch else 1
    largest = num_steps * num_envs // each
    if host.is_recurrent:
        parts, each, largest = f"{num_envs} environments", 1, num_envs
    _check("num_mini_batches", host.ppo.num_mini_batches, largest, f"a rollout has {parts}, and each takes {each}")


def check_fit(num_mini_batches: int, num_samples: int) -> None:
    """Raise a :class:`~rsl_dpcppo.errors.ConfigError` if a fit has more mini-batches than samples."""
    reason = f"the flow is fitted to {num_samples} samples only"
    _check("flow_num_mini_batches", num_mini_batches, num_samples, reason)


def _check(name: str, value: int, largest: int, reason: str) -> None:
    if value > largest:
        raise ConfigError(f"{name} is {value}; {reason}: it must be at most {largest}.")
