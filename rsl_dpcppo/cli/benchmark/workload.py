# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What is measured: learners of the paper's shapes, on an environment that costs as much as one says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg
from rsl_dpcppo.config.paper import find_paper_task
from rsl_dpcppo.errors import ConfigError, did_you_mean
from rsl_dpcppo.tasks.agents import paper_agent


@dataclass(frozen=True)
class Shape:
    """Sizes of a task of Isaac Lab 2.3 that decide what a learner costs."""

    task_id: str
    """The task, without version: the paper's settings are looked up by it."""
    num_observations: int
    """Numbers in an observation of policy and critic."""
    num_actions: int
    """Numbers in an action."""


SHAPES = {
    "ant": Shape("Isaac-Ant", 60, 8),
    "franka": Shape("Isaac-Lift-Cube-Franka", 36, 8),
    "quadcopter": Shape("Isaac-Quadcopter-Direct", 12, 4),
    "anymal_d": Shape("Isaac-Velocity-Flat-Anymal-D", 48, 12),
    "h1": Shape("Isaac-Velocity-Rough-H1", 256, 19),
    "go2": Shape("Isaac-Velocity-Rough-Unitree-Go2", 235, 12),
    "navigation": Shape("Isaac-Navigation-Flat-Anymal-C", 10, 3),
    "g1": Shape("Isaac-Velocity-Rough-G1", 310, 37),
}
"""The paper's eight tasks, by short names."""


def find_shape(name: str) -> Shape:
    """Return a shape by name.

    Raises:
        ConfigError: If there is none; the message lists them.
    """
    if name not in SHAPES:
        raise ConfigError(f"There is no shape '{name}'.{did_you_mean(name, SHAPES)} Shapes: {', '.join(SHAPES)}.")
    return SHAPES[name]


def make_agent(shape: Shape, num_envs: int, num_steps: int, flow_steps: int) -> DPCPPORunnerCfg:
    """Return DP-CPPO with the paper's settings for a task, in a given size.

    Args:
        shape: The task.
        num_envs: Number of environments.
        num_steps: Steps of a rollout; 0 for the paper's.
        flow_steps: Number of solver steps.
    """
    task = find_paper_task(shape.task_id)
    assert task is not None
    cfg = paper_agent(task.dpcppo)
    cfg.num_envs, cfg.num_steps_per_env = num_envs, num_steps or cfg.num_steps_per_env
    cfg.actor.flow_steps = flow_steps
    return cfg


class SyntheticEnv(VecEnv):
    """Observations and rewards at random, for learners whose time is measured and whose learning is not.

    Its step costs a given time and next to nothing by itself: the random numbers are drawn beforehand.
    """

    cfg: dict[str, Any]
    """Description in plain values."""

    def __init__(self, shape: Shape, num_envs: int, device: str, step_seconds: float = 0.0) -> None:
        """Draw observations and rewards.

        Args:
            shape: Sizes of observation and action.
            num_envs: Number of environments.
            device: Device of the observations.
            step_seconds: Time that a step takes at least.
        """
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, shape.num_actions, 1000
        self.device, self.cfg, self.step_dt = device, {"task": shape.task_id, "num_envs": num_envs}, 1.0
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)
        self._step_seconds = step_seconds
        generator = torch.Generator(device=device).manual_seed(0)
        self._observations = torch.randn(num_envs, shape.num_observations, generator=generator, device=device)
        self._rewards = torch.randn(num_envs, generator=generator, device=device)
        self._never = torch.zeros(num_envs, dtype=torch.bool, device=device)

    def get_observations(self) -> TensorDict:
        """Return the same observations every time. Shape: [num_envs, num_observations]."""
        return TensorDict({"policy": self._observations}, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Wait as long as a step takes. No episode ends."""
        if self._step_seconds:
            if self._rewards.is_cuda:
                torch.cuda.synchronize(self.device)
            time.sleep(self._step_seconds)
        return self.get_observations(), self._rewards, self._never.long(), {"time_outs": self._never}
