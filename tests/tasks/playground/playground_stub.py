# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A task of Playground without physics, whose actions decide what happens. It compiles in a second."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from ml_collections import config_dict
from mujoco_playground import State, dm_control_suite

NAME = "StubOfTheTests"


@struct.dataclass
class Data:
    qpos: jax.Array
    qvel: jax.Array
    time: Any


class Stub:
    """Position: uniform at the start, 1 more after each step. Reward: the second action.

    The first action: above 0.5 the task ends, below -0.5 the position becomes infinite, which the task does not notice.
    """

    action_size = 2

    def __init__(self, config: Any, config_overrides: Any = None) -> None:
        self.config, self.dt = config, config.ctrl_dt

    def reset(self, rng: jax.Array) -> State:
        # A time that is a Python float, as CheetahRun's: another type than that of a stepped state.
        data = Data(jax.random.uniform(rng, (1,)), jnp.zeros(1), 0.0)
        return State(data, self._obs(data), jnp.zeros(()), jnp.zeros(()), {"position": jnp.zeros(())}, {"rng": rng})

    def step(self, state: State, action: jax.Array) -> State:
        position = jnp.where(action[0] < -0.5, jnp.inf, state.data.qpos + 1.0)
        data = state.data.replace(qpos=position, qvel=action[:1], time=state.data.time + jnp.float32(self.dt))
        done = (action[0] > 0.5).astype(float)
        return state.replace(
            data=data, obs=self._obs(data), reward=action[1], done=done, metrics={"position": position[0]}
        )

    def _obs(self, data: Data) -> Any:
        return {
            "dict": {"state": data.qpos, "privileged_state": jnp.concatenate([data.qpos, data.qvel])},
            "image": {"state": data.qpos, "pixels/view_0": jnp.zeros((4, 4, 3))},
            "nameless": {"privileged_state": data.qpos},
        }[self.config.observation]


def register(observation: str = "dict", episode_length: int = 5, action_repeat: int = 1) -> None:
    """Enter the task in Playground's registry, in place of an earlier one."""

    def config() -> config_dict.ConfigDict:
        return config_dict.create(
            ctrl_dt=0.1,
            sim_dt=0.1,
            episode_length=episode_length,
            action_repeat=action_repeat,
            impl="warp",
            observation=observation,
        )

    dm_control_suite.register_environment(NAME, Stub, config)
