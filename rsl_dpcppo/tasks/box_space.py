# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What Gymnasium and EnvPool share: simulators on the CPU, with observations and actions in boxes of numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from rsl_dpcppo.config import check_int
from rsl_dpcppo.config.ppo import LARGEST_SEED
from rsl_dpcppo.errors import ConfigError

UNBOUNDED = 1e9
"""A bound of an action this large stands for none: EnvPool's LQR has 1e10, others the largest float."""


def check_spaces(name: str, observation_space: Any, action_space: Any) -> None:
    """Refuse spaces that a policy of numbers to numbers cannot serve.

    Args:
        name: The environment's name.
        observation_space: Gymnasium's space of one environment's observation.
        action_space: Gymnasium's space of one environment's action.

    Raises:
        ConfigError: If the actions are not one Box of floats, or if an observation is an image.
    """
    from gymnasium.spaces import Box

    if not isinstance(action_space, Box) or not np.issubdtype(action_space.dtype, np.floating):
        raise ConfigError(
            f"The actions of '{name}' are {action_space}; a flow policy needs continuous ones (a Box of floats)."
        )
    for leaf in _leaves(observation_space):
        shape = leaf.shape or ()
        if len(shape) > 2 or (len(shape) == 2 and leaf.dtype == np.uint8):
            raise ConfigError(
                f"'{name}' observes images ({leaf}); this adapter hands on vectors only. "
                "Take a version of the task with state observations, or wrap it."
            )


class ActionBox:
    """The map from a policy's actions to those of the simulator.

    A policy acts in [-1, 1]. Its actions are clipped to that and mapped affinely onto the box, -1 to the lower and 1
    to the upper bound. An action that lacks a bound passes through unchanged, but for the bound that it has.
    """

    def __init__(self, box: Any) -> None:
        """Take over a Gymnasium Box of one environment's action."""
        low, high = (np.asarray(bound, dtype=np.float64) for bound in (box.low, box.high))
        bounded = (low > -UNBOUNDED) & (high < UNBOUNDED)
        lower, upper = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
        self._centre, self._half_range = (upper + lower) / 2, (upper - lower) / 2
        self._low = np.where(low > -UNBOUNDED, low, -np.inf)
        self._high = np.where(high < UNBOUNDED, high, np.inf)
        self._dtype = box.dtype
        self.num_actions = low.size

    def __call__(self, actions: np.ndarray) -> np.ndarray:
        """Map actions of shape [num_envs, num_actions] to [num_envs, *shape of the box], in the box's type."""
        actions = actions.reshape(len(actions), *self._low.shape)
        # To clip the image to the box is to clip the action to [-1, 1].
        return np.clip(self._centre + self._half_range * actions, self._low, self._high).astype(self._dtype)


class BoxVecEnv(VecEnv):
    """RSL-RL's view of simulators on the CPU.

    Actions are in [-1, 1], as :class:`ActionBox` says. The observation group "policy" holds float32 on ``device``.

    Where an episode ends, the next one starts within the same step: its first observation is what the step returns,
    and no transition leads from one episode into another. ``extras["time_outs"]`` is True where an episode ended
    without a terminal state, and ``extras["final_obs"]`` has the observations from before the next one.

    The time limit is kept here, not in the simulator: RSL-RL's runner starts training by writing random values to
    ``episode_length_buf``, so that not all episodes time out together, and a simulator would not know of them.
    """

    cfg: dict[str, Any]
    """Description of the environment in plain values, as the runner writes it next to the logs."""

    def __init__(
        self,
        cfg: dict[str, Any],
        num_observations: int,
        action_box: ActionBox,
        max_episode_length: int,
        step_dt: float,
        device: str,
    ) -> None:
        """Take over what the simulator tells, and start the first episodes.

        Args:
            cfg: Description in plain values, with "num_envs" and "seed".
            num_observations: Numbers in an observation.
            action_box: Map to the simulator's actions.
            max_episode_length: Steps after which an episode times out.
            step_dt: Seconds of a step, by which RSL-RL scales the intrinsic reward of RND.
            device: Device that the policy lives on.
        """
        self.cfg = cfg
        self.num_envs = cfg["num_envs"]
        self.num_actions = action_box.num_actions
        self.max_episode_length = max_episode_length
        self.step_dt = step_dt
        self.device = device
        self._num_observations = num_observations
        self._action_box = action_box
        self.seed(cfg["seed"])
        self.reset()

    @abstractmethod
    def _start(self, seeds: list[int] | None) -> np.ndarray:
        """Start all environments anew, from these seeds or else from their present random numbers.

        Returns:
            The first observations. Shape is [num_envs, num_observations].
        """

    @abstractmethod
    def _restart(self, ended: np.ndarray) -> np.ndarray:
        """Start new episodes in some environments.

        Args:
            ended: Which ones, at least one. Boolean, shape is [num_envs].

        Returns:
            The first observations of these. Shape is [number of ended, num_observations].
        """

    @abstractmethod
    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Advance all environments by one step, without starting new episodes.

        Args:
            actions: Actions in the box. Shape is [num_envs, *shape of the box].

        Returns:
            Observations of shape [num_envs, num_observations], rewards, whether the state reached is terminal, and
            whether the simulator ended the episode for another reason. Shape of the last three is [num_envs].
        """

    @property
    def unwrapped(self) -> BoxVecEnv:
        """The environment itself. RSL-RL's view ends here."""
        return self

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Steps since each episode's start. Shape is [num_envs].

        A copy: the count is kept on the CPU, where it decides which environments start anew. Assign to change it.
        """
        return torch.tensor(self._lengths, device=self.device)

    @episode_length_buf.setter
    def episode_length_buf(self, lengths: torch.Tensor) -> None:
        self._lengths = lengths.to("cpu", torch.long, copy=True).numpy()

    def seed(self, seed: int) -> int:
        """Set the seed that the next :meth:`reset` starts from. Episodes that run already are not affected.

        Args:
            seed: New seed, from which each environment gets its own.

        Returns:
            The seed.

        Raises:
            ConfigError: If it is not a whole number from 0.
        """
        check_int("seed", seed, minimum=0, maximum=LARGEST_SEED)
        self.cfg["seed"] = seed
        # Drawn rather than counted up, so that runs with neighbouring seeds have no environment in common.
        self._seeds = np.random.default_rng(seed).choice(2**31 - 1, self.num_envs, replace=False).tolist()
        return seed

    def reset(self) -> tuple[TensorDict, dict[str, Any]]:
        """Start a new episode in every environment.

        Returns:
            The observations and an empty dictionary.
        """
        observations = torch.from_numpy(self._start(self._seeds).astype(np.float32))
        self._seeds = None
        self._observations = observations.to(self.device)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)
        return self.get_observations(), {}

    def get_observations(self) -> TensorDict:
        """Return the current observations.

        Returns:
            Observation group "policy". Shape is [num_envs, num_observations].
        """
        return TensorDict({"policy": self._observations.clone()}, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Advance all environments by one step, and start new episodes where one ended.

        Args:
            actions: Actions in [-1, 1]. Shape is [num_envs, num_actions].

        Returns:
            The observations after the step (those of the new episode where one ended), the rewards, the done flags
            (1 where an episode ended) and the extras. Shape of the rewards and of the flags is [num_envs]. The extras
            are "time_outs", which is True where an episode ended without a terminal state, and "final_obs", the
            observations after the step from before a new episode began.
        """
        host_actions = self._action_box(actions.detach().to("cpu", torch.float32).numpy())
        observations, rewards, terminated, truncated = self._advance(host_actions)

        self._lengths = self._lengths + 1
        ended = terminated | truncated | (self._lengths >= self.max_episode_length)
        self._lengths[ended] = 0

        # One array for one copy to the device. A new one every step, because on the CPU the results are views of it.
        num_numbers = observations.size
        packed = np.empty(num_numbers + 3 * self.num_envs, dtype=np.float32)
        packed_observations = packed[:num_numbers].reshape(observations.shape)
        packed_observations[:] = observations
        final = packed_observations
        if ended.any():
            final = packed_observations.copy()
            packed_observations[ended] = self._restart(ended)
        packed[num_numbers:] = np.concatenate((rewards, ended, ended & ~terminated))

        on_device = torch.from_numpy(packed).to(self.device)
        self._observations = on_device[:num_numbers].view(observations.shape)
        reward, done, time_out = on_device[num_numbers:].view(3, self.num_envs)
        final_obs = self._observations if final is packed_observations else torch.from_numpy(final).to(self.device)
        extras = {
            "time_outs": time_out.bool(),
            "final_obs": TensorDict({"policy": final_obs}, batch_size=[self.num_envs], device=self.device),
        }
        return self.get_observations(), reward, done.long(), extras


def _leaves(space: Any) -> Iterator[Any]:
    """Yield the spaces in nested dictionaries and tuples."""
    from gymnasium.spaces import Dict, Tuple

    if isinstance(space, Dict):
        space = tuple(space.spaces.values())
    if isinstance(space, (tuple, Tuple)):
        for part in space:
            yield from _leaves(part)
    else:
        yield space
