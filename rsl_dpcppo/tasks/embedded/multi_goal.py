# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Multi-goal task: a point in the plane moves to any one of four equally good goals.

At the five saddle points (the origin and the four points half-way between neighbouring goals) several directions are
equally good and their average is not good at all. A policy with one mode has to break the tie; a policy that can
represent several modes may keep all of them. The task runs in seconds on any device and needs no simulator.

Lengths have no unit: the goals lie 5 away from the origin, one step moves the point by up to 0.3 along each axis.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.metrics import share_entropy

GOALS = ((5.0, 0.0), (-5.0, 0.0), (0.0, 5.0), (0.0, -5.0))
"""Positions of the goals: east, west, north, south."""

GOAL_NAMES = ("E", "W", "N", "S")
"""Short names of the goals, in the order of `GOALS`."""

SADDLES = ((0.0, 0.0), (2.5, 2.5), (-2.5, 2.5), (-2.5, -2.5), (2.5, -2.5))
"""Positions from which two or more goals are equally near. The first one is the origin, where all four are."""

MAX_STEPS = 20
"""Number of steps after which an episode times out."""

CENTRE_RADIUS = 1.0
"""Distance from the origin up to which an episode's start counts for the logged shares of the goals."""

STEP_SIZE = 0.3
"""Distance that an action of 1 moves the point along one axis."""

BOUND = 7.0
"""The point stays in the square [-BOUND, BOUND]^2."""

START_BOUND = 6.0
"""Episodes start uniformly in the square [-START_BOUND, START_BOUND]^2."""

GOAL_RADIUS = 1.0
"""A goal is reached from any position nearer to it than this."""

GOAL_REWARD = 10.0
"""Bonus for reaching a goal."""

DISTANCE_COST = 0.5
"""Cost of one step per unit of distance to the nearest goal."""

LOG_DECAY = 0.99
"""Weight that the logged averages keep per step, which makes them averages over about the last 100 steps."""


class Transition(NamedTuple):
    """What one step does to a batch of n points."""

    positions: torch.Tensor
    """Positions after the step. Shape is [n, 2]."""

    rewards: torch.Tensor
    """Rewards of the step. Shape is [n]."""

    reached: torch.Tensor
    """Whether the step starts at a goal, which ends the episode. Boolean, shape is [n]."""

    nearest: torch.Tensor
    """Index of the goal that is nearest to the position that the step starts from. Long, shape is [n]."""


@dataclass
class MultiGoalCfg:
    """What can be changed in the task."""

    closed: list[str] = field(default_factory=list)
    """Goals that are not there, by their names: E, W, N, S. To see what a policy does when one that it took is gone."""

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            ConfigError: If one is no goal, or no goal is left.
        """
        if not set(self.closed) < set(GOAL_NAMES):
            raise ConfigError(
                f"env.closed is {self.closed!r}; it must be some of {', '.join(GOAL_NAMES)}, but not all."
            )


def goal_tensor(device: torch.device | str, closed: Sequence[str] = ()) -> torch.Tensor:
    """Return the positions of the goals, of closed ones infinitely far away. Shape is [4, 2]."""
    goals = torch.tensor(GOALS, device=device)
    goals[[name in closed for name in GOAL_NAMES]] = torch.inf
    return goals


def transition(positions: torch.Tensor, actions: torch.Tensor, goals: torch.Tensor) -> Transition:
    """Compute one step of the task.

    Args:
        positions: Positions that the step starts from. Shape is [n, 2].
        actions: Actions, clipped to [-1, 1]. Shape is [n, 2].
        goals: Positions of the goals as returned by :func:`goal_tensor`. Passed in because creating it on a GPU
            would make the host wait in every step. Shape is [4, 2].

    Returns:
        The transition of each point.
    """
    # Distance and bonus are those of the position that the step starts from, so that collecting the bonus takes one
    # more step than getting there. The greedy returns that define the task, -11.75 from the origin and 2.08 from the
    # other saddle points, hold for this order only.
    distances, nearest = torch.linalg.vector_norm(positions[:, None] - goals, dim=-1).min(dim=1)
    reached = distances < GOAL_RADIUS
    rewards = GOAL_REWARD * reached - DISTANCE_COST * distances
    positions = (positions + STEP_SIZE * actions.clamp(-1.0, 1.0)).clamp(-BOUND, BOUND)
    return Transition(positions, rewards, reached, nearest)


def near_origin(positions: torch.Tensor) -> torch.Tensor:
    """Return which positions are so near to the origin that all goals are about equally far. Shape is [n]."""
    return torch.linalg.vector_norm(positions, dim=-1) < CENTRE_RADIUS


def optimal_return(starts: torch.Tensor, closed: Sequence[str] = ()) -> torch.Tensor:
    """Return what the greedy policy earns that walks straight to the best goal.

    It closes the gap along each axis as fast as the bounds of the action allow and stops there, so no other policy is
    nearer to that goal after any number of steps.

    Args:
        starts: Positions that the episodes start from. Shape is [n, 2].
        closed: Names of goals that are not there.

    Returns:
        Undiscounted return of an episode from each start, for the best of the four goals. Shape is [n].
    """
    goals = goal_tensor(starts.device, closed)
    positions = starts.repeat(len(goals), 1)
    targets = goals.repeat_interleave(len(starts), dim=0)
    returns = torch.zeros_like(positions[:, 0])
    alive = torch.ones_like(returns, dtype=torch.bool)
    for _ in range(MAX_STEPS):
        positions, rewards, reached, _ = transition(positions, (targets - positions) / STEP_SIZE, goals)
        returns = returns + rewards * alive
        alive = alive & ~reached
    return returns.view(len(goals), len(starts)).amax(dim=0)


class MultiGoalEnv(VecEnv):
    """Vectorized multi-goal task.

    An episode terminates at a goal and times out after :data:`MAX_STEPS` steps. The observation group "policy" is the
    position. All random numbers come from a generator of the environment's own, and :meth:`state_dict` holds all that
    a resumed run needs to continue exactly where the saved one stopped.
    """

    cfg: dict[str, Any]
    """Description of the task in plain values, as the runner writes it next to the logs."""

    def __init__(
        self, num_envs: int = 512, device: str = "cpu", seed: int = 0, cfg: MultiGoalCfg | None = None
    ) -> None:
        """Create the environment and start the first episodes.

        Args:
            num_envs: Number of points that move at the same time.
            device: Device on which the points live.
            seed: Seed of the start positions.
            cfg: What is changed in the task, if anything.
        """
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}, but must be at least 1. The default is 512.")
        self.num_envs = num_envs
        self.closed = list(cfg.closed) if cfg else []
        self.num_actions = 2
        self.max_episode_length = MAX_STEPS
        self.step_dt = 1.0  # RSL-RL scales the intrinsic reward of RND by it
        self.device = device
        self.cfg = {
            "task": "multi_goal",
            "num_envs": num_envs,
            "device": str(device),
            "seed": seed,
            "goals": [list(goal) for goal in GOALS],
            "closed": self.closed,
            "max_steps": MAX_STEPS,
            "step_size": STEP_SIZE,
            "bound": BOUND,
            "start_bound": START_BOUND,
            "goal_radius": GOAL_RADIUS,
            "goal_reward": GOAL_REWARD,
            "distance_cost": DISTANCE_COST,
        }
        self._goals = goal_tensor(device, self.closed)
        self._generator = torch.Generator(device=device)
        self._num_ended = torch.zeros((), device=device)
        self._num_reached = torch.zeros((), device=device)
        self._num_from_centre = torch.zeros(len(GOALS), device=device)
        self.seed(seed)
        self.reset()

    @property
    def unwrapped(self) -> MultiGoalEnv:
        """The environment itself. It wraps no other."""
        return self

    def seed(self, seed: int) -> int:
        """Seed the generator of the start positions. Episodes that run already are not affected.

        Args:
            seed: New seed.

        Returns:
            The seed.
        """
        self._generator.manual_seed(seed)
        self.cfg["seed"] = seed
        return seed

    def reset(self) -> tuple[TensorDict, dict[str, Any]]:
        """Start a new episode in every environment.

        Returns:
            The observations and an empty dictionary.
        """
        self._positions = self._sample_starts()
        self._from_centre = near_origin(self._positions)
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
        return self.get_observations(), {}

    def get_observations(self) -> TensorDict:
        """Return the current observations.

        Returns:
            Positions as observation group "policy". Shape is [num_envs, 2].
        """
        return TensorDict({"policy": self._positions.clone()}, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Move the points and restart the episodes that end.

        Args:
            actions: Actions, clipped to [-1, 1]. Shape is [num_envs, 2].

        Returns:
            The observations after the step (those of the new episode where one ended), the rewards, the done flags
            (1 where an episode ended) and the extras. Shape of the rewards and of the flags is [num_envs]. The extras
            are "time_outs", which is True where an episode ended without reaching a goal, "final_obs", the positions
            after the step from before a new episode began, and "log".
        """
        positions, rewards, reached, nearest = transition(self._positions, actions.detach(), self._goals)
        lengths = self.episode_length_buf + 1
        time_outs = (lengths >= self.max_episode_length) & ~reached
        dones = reached | time_outs

        # Starts are drawn for all environments in every step: to draw only as many as are needed, the host would have
        # to wait for the device to tell it how many those are. Nothing is updated in place because the runner steps
        # in inference mode, whose tensors must not be written to outside it.
        self._positions = torch.where(dones[:, None], self._sample_starts(), positions)
        self.episode_length_buf = lengths.masked_fill(dones, 0)

        # In many steps no episode ends, so the share is that of two decaying counts rather than that of this step.
        self._num_ended = LOG_DECAY * self._num_ended + dones.sum()
        self._num_reached = LOG_DECAY * self._num_reached + reached.sum()
        log = {"/multi_goal/goal_rate": self._num_reached / self._num_ended.clamp(min=1e-6)}
        # Only where all goals are about equally near does it show which of them the policy prefers.
        at_goal = torch.nn.functional.one_hot(nearest, len(GOALS)) * (reached & self._from_centre)[:, None]
        self._num_from_centre = LOG_DECAY * self._num_from_centre + at_goal.sum(dim=0)
        self._from_centre = torch.where(dones, near_origin(self._positions), self._from_centre)
        shares = self._num_from_centre / self._num_from_centre.sum().clamp(min=1e-6)
        log |= {f"/multi_goal/share_{name}": share for name, share in zip(GOAL_NAMES, shares, strict=True)}
        log["/multi_goal/share_entropy"] = share_entropy(shares)

        final = TensorDict({"policy": positions}, batch_size=[self.num_envs], device=self.device)
        extras = {"time_outs": time_outs, "final_obs": final, "log": log}
        return self.get_observations(), rewards, dones.long(), extras

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return a copy of everything that a resumed run needs to continue bit by bit as the saved one would have.

        Returns:
            Tensors by name. The state of the generator is on the CPU, all others are on the device.
        """
        return {
            "positions": self._positions.clone(),
            "episode_length_buf": self.episode_length_buf.clone(),
            "num_ended": self._num_ended.clone(),
            "num_reached": self._num_reached.clone(),
            "num_from_centre": self._num_from_centre.clone(),
            "from_centre": self._from_centre.clone(),
            "generator_state": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`state_dict` returned.

        Args:
            state: Saved state. Its tensors may be on any device.
        """
        num_saved = len(state["positions"])
        if num_saved != self.num_envs:
            raise ValueError(
                f"The saved state has num_envs={num_saved}, but this environment has num_envs={self.num_envs}. "
                f"Pass --num_envs {num_saved} to resume from it."
            )
        self._positions = state["positions"].to(self.device, copy=True)
        self.episode_length_buf = state["episode_length_buf"].to(self.device, copy=True)
        self._num_ended = state["num_ended"].to(self.device, copy=True)
        self._num_reached = state["num_reached"].to(self.device, copy=True)
        if "from_centre" in state:  # not in states of versions that did not count these
            self._num_from_centre = state["num_from_centre"].to(self.device, copy=True)
            self._from_centre = state["from_centre"].to(self.device, copy=True)

        generator_state = state["generator_state"].cpu()
        if generator_state.shape == self._generator.get_state().shape:
            self._generator.set_state(generator_state)
        else:
            warnings.warn(
                "The saved state is from another kind of device, whose random numbers cannot be continued on "
                f"'{self.device}'. The run continues with other start positions; resume on the same kind of device "
                "to repeat it exactly.",
                stacklevel=2,
            )

    def close(self) -> None:
        """Do nothing. There is no simulator to shut down."""

    def _sample_starts(self) -> torch.Tensor:
        """Draw one start position per environment. Shape is [num_envs, 2]."""
        uniform = torch.rand(self.num_envs, 2, generator=self._generator, device=self.device)
        return START_BOUND * (2.0 * uniform - 1.0)
