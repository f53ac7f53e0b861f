# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the environment says about its actions."""

from __future__ import annotations

from typing import Any

from rsl_dpcppo.errors import ConfigError


def check_action_space(env: Any) -> None:
    """Refuse discrete actions, where the environment tells its action space.

    Args:
        env: RSL-RL's vectorised environment, possibly a wrapper around a Gymnasium one.

    Raises:
        ConfigError: If the action space is known and not continuous.
    """
    for owner in (env, getattr(env, "unwrapped", None)):
        for name in ("single_action_space", "action_space"):
            space = getattr(owner, name, None)
            if type(space).__name__ in ("Discrete", "MultiDiscrete", "MultiBinary"):
                raise ConfigError(
                    f"The environment's {name} is {space}; a flow policy needs continuous actions (a Box). "
                    "Use RSL-RL's PPO-compatible discrete set-up, or wrap the environment."
                )
