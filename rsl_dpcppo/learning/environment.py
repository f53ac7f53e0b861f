# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What an environment gives: whether it has the form that RSL-RL takes, and which numbers no learner can take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import inf
from numbers import Integral, Real
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.errors import EnvError
from rsl_dpcppo.learning.host import Rollout

LARGEST = 1e15
"""Largest output that a sum of squares over a rollout still holds in single precision."""


def _is_count(value: Any, env: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def _is_length(value: Any, env: Any) -> bool:
    if isinstance(value, Tensor):
        return value.shape in ((), (env.num_envs,)) and not value.is_complex() and bool((value >= 1).all())
    return isinstance(value, Real) and not isinstance(value, bool) and 1.0 <= float(value) < inf


def _is_length_buffer(value: Any, env: Any) -> bool:
    is_numbers = isinstance(value, Tensor) and not value.is_complex() and value.dtype is not torch.bool
    return is_numbers and value.shape == (env.num_envs,)


def _is_device(value: Any, env: Any) -> bool:
    try:
        torch.empty(0, device=torch.device(value))
    except (TypeError, RuntimeError, AssertionError, NotImplementedError):
        return False
    return True


ATTRIBUTES: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "num_envs": (_is_count, "a whole number, 1 or more"),
    "num_actions": (_is_count, "a whole number, 1 or more"),
    "max_episode_length": (_is_length, "a number of steps, 1 or more, or a tensor of one for each environment"),
    "episode_length_buf": (_is_length_buffer, "a tensor of numbers of shape [num_envs]"),
    "device": (_is_device, "a device of PyTorch that is here, such as 'cpu' or 'cuda:0'"),
}
"""What RSL-RL reads of an environment: whether a value of the environment is right, and what would be."""


def check_environment(env: Any, used: Collection[str]) -> None:
    """Refuse an environment whose attributes or first observations RSL-RL would stumble over.

    Args:
        env: The environment.
        used: Observation groups that networks see.

    Raises:
        EnvError: Names the attribute or the group, what it is, and what it has to be.
    """
    for name, (is_right, right) in ATTRIBUTES.items():
        value = getattr(env, name, None)
        if not is_right(value, env):
            found = _describe(value) if isinstance(value, Tensor) else f"{value!r:.100}"
            raise EnvError(f"The environment's {name} is {found}; it must be {right}.")
    observations = env.get_observations()
    _check_kind("observations", observations, TensorDict)
    for name, values in observations.items():
        shape = (env.num_envs, *values.shape[1:]) if isinstance(values, Tensor) else ()
        _check(f"observation group '{name}'", values, shape, needs_fractions=name in used)


def check_step(given: Any, rollout: Rollout, stored_name: str = "") -> None:
    """Refuse what RSL-RL's storage would stumble over, or would silently repeat for all environments.

    Looks at types and shapes alone, without waiting for the device.

    Args:
        given: What the environment's ``step`` returned.
        rollout: The storage that it is for.
        stored_name: What the policy stores beside the observations, which is not the environment's.

    Raises:
        EnvError: Names the output, its type or shape, and what it has to be.
    """
    if not isinstance(given, tuple) or len(given) != 4:
        what = f"{len(given)} results" if isinstance(given, tuple) else _describe(given)
        raise EnvError(f"The environment's step() gave {what}; it must be (observations, rewards, dones, extras).")
    observations, rewards, dones, extras = given
    _check_kind("observations", observations, TensorDict)
    _check_kind("extras", extras, dict)
    num_envs = rollout.rewards.shape[1]
    for name, expected in rollout.observations.items():
        if name != stored_name:
            _check(f"observation group '{name}'", observations.get(name), expected.shape[1:])
    _check("rewards", rewards, (num_envs,), needs_fractions=True)
    _check("dones", dones, (num_envs,))
    if "time_outs" in extras:
        _check("extras['time_outs']", extras["time_outs"], (num_envs,))


def _check_kind(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise EnvError(f"The environment gave {_describe(value)} as {name}; it must be a {kind.__name__}.")


def _check(name: str, value: Any, shape: tuple[int, ...], needs_fractions: bool = False) -> None:
    """Raise unless a value is a tensor of real numbers of this shape."""
    kind = "floating-point numbers" if needs_fractions else "real numbers"
    if (
        not isinstance(value, Tensor)
        or value.shape != shape
        or value.is_complex()
        or (needs_fractions and not value.is_floating_point())
    ):
        raise EnvError(
            f"The environment gave {_describe(value)} as {name}; it must be a tensor of {kind} of shape {list(shape)}."
        )


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {list(value.shape)}"
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def blame_rollout(rollout: Rollout, last_observations: TensorDict, stored_name: str = "") -> str:
    """Say which output of a rollout is the first that is not finite, or absurdly large; "" if none is.

    Args:
        rollout: The rollout.
        last_observations: Observations after its last step, of which its last returns are made.
        stored_name: What the policy stored beside the observations, which is not the environment's.
    """
    groups = {name: values for name, values in rollout.observations.items() if name != stored_name}
    return _blame({**_named(groups), "reward": rollout.rewards}, 0) or blame_step(
        last_observations, {}, len(rollout.rewards)
    )


def blame_step(observations: TensorDict, others: Mapping[str, Tensor], step: int) -> str:
    """Say the same of one step's observations and other outputs, by name."""
    outputs = {**others, **_named(dict(observations.items()))}
    return _blame({name: values[None] for name, values in outputs.items()}, step)


def keep_dones_as_given(rollout: Rollout) -> None:
    """Let a rollout hold dones as they are given: RSL-RL's bytes would make 0 of a half and of 256."""
    rollout.dones = rollout.dones.float()


def wrong_dones(dones: Tensor) -> Tensor:
    """Return which dones are neither 0 nor 1: returns would go on with the wrong weight. Any shape."""
    return (dones != 0) & (dones != 1)


def blame_dones(dones: Tensor) -> str:
    """Say where a rollout has the first of these, "" for nowhere. Shape: [num_steps, num_envs, ...]."""
    wrong = wrong_dones(dones).nonzero()
    if len(wrong) == 0:
        return ""
    step, env = wrong[0, :2].tolist()
    value = dones[step, env].item()
    return f"The environment gave {value:g} as done, in environment {env} at step {step} of the rollout; it is 0 or 1."


def _named(groups: Mapping[str, Any]) -> dict[str, Tensor]:
    return {f"observation group '{name}'": values for name, values in groups.items()}


def _blame(outputs: Mapping[str, Tensor], first_step: int) -> str:
    """Look through outputs for the earliest, the first of several. Shape: [num_steps, num_envs, ...]."""
    found = []
    for name, values in outputs.items():
        wrong = torch.nonzero(~(values.abs() <= LARGEST))
        if len(wrong) > 0:
            step, env = wrong[0, :2].tolist()
            found.append((step, env, name, values[tuple(wrong[0])].item()))
    if not found:
        return ""
    step, env, name, value = min(found, key=lambda each: each[0])
    return f"The environment gave {value:g} as {name}, in environment {env} at step {first_step + step} of the rollout."
