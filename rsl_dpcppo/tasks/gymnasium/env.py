# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Any Gymnasium environment with continuous actions as RSL-RL's vectorised environment."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from tensordict import TensorDict

from rsl_dpcppo.config import check_choice, check_int
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.box_space import ActionBox, BoxVecEnv, check_spaces
from rsl_dpcppo.tasks.gymnasium.names import check_installed, unknown
from rsl_dpcppo.tasks.task import Film, Policy


@dataclass
class GymnasiumEnvCfg:
    """How a Gymnasium environment is run."""

    vectorization: str = "sync"
    """"sync" runs the environments one after the other in this process, "async" each in a process of its own, which
    pays where a step takes a millisecond or more."""

    max_episode_steps: int = 0
    """Steps after which an episode times out; 0 takes the registered limit."""

    kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of the environment, which gymnasium.make takes."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        check_choice("vectorization", self.vectorization, ("sync", "async"))
        check_int("max_episode_steps", self.max_episode_steps, minimum=0)
        if not isinstance(self.kwargs, dict):
            raise ConfigError(f"kwargs is {self.kwargs!r}; it must be a dictionary.")
        if "max_episode_steps" in self.kwargs:
            raise ConfigError("kwargs has 'max_episode_steps', which is a field of its own: set that.")


class GymnasiumEnv(BoxVecEnv):
    """Gymnasium environments side by side.

    Observations in dictionaries, tuples and matrices are flattened to one vector each, as Gymnasium's
    FlattenObservation does it.
    """

    def __init__(
        self, env_id: str, num_envs: int, device: str = "cpu", seed: int = 0, cfg: GymnasiumEnvCfg | None = None
    ) -> None:
        """Make the environments and start the first episodes.

        Args:
            env_id: Name that Gymnasium knows, or "module:name", where importing the module registers the name.
            num_envs: Number of environments.
            device: Device that the policy lives on. The simulators are on the CPU.
            seed: Seed of all environments.
            cfg: How they are run.

        Raises:
            ConfigError: If there is no such environment, if it cannot be made, if its spaces do not suit, or if it has
                no time limit.
        """
        cfg = cfg or GymnasiumEnvCfg()
        check_int("num_envs", num_envs, minimum=1)
        check_installed()
        import gymnasium
        from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

        # One environment tells of all problems before many are made.
        probe = _make(env_id, cfg.kwargs)
        probe.close()
        check_spaces(env_id, probe.observation_space, probe.action_space)
        if not probe.observation_space.is_np_flattenable:
            raise ConfigError(f"The observations of '{env_id}' are {probe.observation_space}, which has no fixed size.")
        spec = gymnasium.spec(probe.unwrapped.spec.id)
        max_episode_steps = cfg.max_episode_steps or spec.max_episode_steps
        if not max_episode_steps:
            raise ConfigError(
                f"'{env_id}' is registered without a time limit, and RSL-RL needs one: set env.max_episode_steps."
            )

        # Without Gymnasium's own time limit and restarts: both are done here, by masks, which works in one process and
        # in many, and leaves no end of an episode that RSL-RL does not know of.
        make = [partial(_make_one, spec, cfg.kwargs)] * num_envs
        vectorize = SyncVectorEnv if cfg.vectorization == "sync" else AsyncVectorEnv
        self._envs: VectorEnv = vectorize(make, copy=False, autoreset_mode=AutoresetMode.DISABLED)
        (num_observations,) = self._envs.single_observation_space.shape
        fields = {**asdict(cfg), "max_episode_steps": max_episode_steps}
        about = {"num_envs": num_envs, "device": str(device), "seed": seed, "gymnasium": gymnasium.__version__}
        super().__init__(
            {"task": env_id, **about, **fields},
            num_observations,
            ActionBox(probe.action_space),
            max_episode_steps,
            _step_dt(probe),
            device,
        )

    def render(self) -> np.ndarray:
        """Return a picture of the first environment, made with the argument render_mode="rgb_array".

        Returns:
            Colours of 8 bits. Shape is [height, width, 3].
        """
        return np.asarray(self._envs.render()[0])

    def close(self) -> None:
        """Close the environments, and end their processes."""
        self._envs.close()

    def _start(self, seeds: list[int] | None) -> np.ndarray:
        return self._envs.reset(seed=seeds)[0]

    def _restart(self, ended: np.ndarray) -> np.ndarray:
        return self._envs.reset(options={"reset_mask": ended})[0][ended]

    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self._envs.step(actions)[:4]


def film(env_id: str, cfg: GymnasiumEnvCfg, policy: Policy, num_steps: int, device: str = "cpu", seed: int = 0) -> Film:
    """Film a policy in one environment.

    Args:
        env_id: Name of the environment.
        cfg: How it is run.
        policy: The policy.
        num_steps: Number of steps, and of frames.
        device: Device that the policy lives on.
        seed: Seed of the environment.

    Returns:
        Frames of shape [height, width, 3], 8 bits a colour, and their number per second.

    Raises:
        ConfigError: If the environment cannot be made or has no pictures, or if drawing fails.
    """
    check_installed()
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo would take GLFW, which needs a screen
    probe = _make(env_id, cfg.kwargs)
    probe.close()
    modes = probe.metadata.get("render_modes", [])
    if "rgb_array" not in modes:
        raise ConfigError(f"'{env_id}' cannot be filmed: its render modes are {modes}, without 'rgb_array'.")
    cfg = replace(cfg, vectorization="sync", kwargs={**cfg.kwargs, "render_mode": "rgb_array"})
    env = GymnasiumEnv(env_id, 1, device, seed, cfg)
    frames: list[np.ndarray] = []
    try:
        observations: TensorDict = env.get_observations()
        for _ in range(num_steps):
            try:
                frames.append(env.render())
            except Exception as error:  # graphics fail in ways of their own: AttributeError without a driver
                raise ConfigError(
                    f"'{env_id}' cannot be filmed: {error} (MUJOCO_GL is '{os.environ.get('MUJOCO_GL', '')}'; "
                    "MuJoCo draws with 'egl', 'osmesa' or, on a screen, 'glfw')."
                ) from error
            observations = env.step(policy(observations))[0]
    finally:
        env.close()
    return frames, float(probe.metadata.get("render_fps") or 1.0 / env.step_dt)


def _make(env_id: str, kwargs: dict[str, Any]) -> Any:
    """Make one environment as Gymnasium does, with errors that a user can mend."""
    import gymnasium

    try:
        return gymnasium.make(env_id, **kwargs)
    except gymnasium.error.UnregisteredEnv as error:
        raise unknown(env_id) from error
    except (gymnasium.error.Error, ImportError) as error:
        raise ConfigError(f"Gymnasium cannot make '{env_id}': {error}") from error
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ConfigError(f"Gymnasium cannot make '{env_id}' with env.kwargs {kwargs}: {error}") from error


def _make_one(spec: Any, kwargs: dict[str, Any]) -> Any:
    """Make one of many environments, with flat observations and without a time limit.

    Takes the registered entry rather than its name, because a process of its own may not know the name.
    """
    import gymnasium

    env = gymnasium.make(spec, max_episode_steps=-1, disable_env_checker=True, **kwargs)
    return env if len(env.observation_space.shape or ()) == 1 else gymnasium.wrappers.FlattenObservation(env)


def _step_dt(env: Any) -> float:
    """Return the seconds of a step as the environment tells them, or by its frames per second, or else 1."""
    dt = getattr(env.unwrapped, "dt", None)
    if isinstance(dt, (int, float)) and dt > 0:
        return float(dt)
    return 1.0 / (env.metadata.get("render_fps") or 1.0)
