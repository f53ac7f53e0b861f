# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Environments that pass for Isaac Lab's and need no simulator. Import this after ``fakes.install()``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import torch
from isaaclab.envs import DirectRLEnv, DirectRLEnvCfg, ManagerBasedRLEnv, ManagerBasedRLEnvCfg
from torch import Tensor


class _SmallEnv(gymnasium.Env):
    """The state drifts at random, and the best action is half of its first numbers, which any policy can learn.

    Of Isaac Lab's own classes it takes what the config and the wrapper need: validation and seeding, ``step_dt``,
    ``max_episode_length``. As in Isaac Lab the tensors of rewards and dones are the same ones in every step, finished
    episodes are reset before the observation is made, and extras["log"] is new only when an episode finished.
    """

    limit = 2.2
    """An episode terminates where a number of the state is farther from 0: about every 60 steps."""

    _is_closed = True

    def __init__(self, cfg: Any, num_obs: int, num_actions: int, render_mode: str | None = None) -> None:
        cfg.validate()
        self.cfg, self.render_mode, self._is_closed = cfg, render_mode, False
        if cfg.seed is not None:
            cfg.seed = self.seed(cfg.seed)
        self.scene = SimpleNamespace(num_envs=cfg.scene.num_envs)
        self.sim = SimpleNamespace(device=cfg.sim.device)
        self.num_actions, self.extras = num_actions, {}
        zeros = torch.zeros(self.num_envs, device=self.device)
        self._state, self._return = zeros.repeat(num_obs, 1).T.contiguous(), zeros.clone()
        self.reward_buf, self.episode_length_buf = zeros.clone(), zeros.long()
        self.reset_terminated, self.reset_time_outs = zeros.bool(), zeros.bool()
        self.single_observation_space = gymnasium.spaces.Dict(policy=_box(num_obs))
        self.single_action_space = _box(num_actions)
        batch = gymnasium.vector.utils.batch_space
        self.observation_space = batch(self.single_observation_space, self.num_envs)
        self.action_space = batch(self.single_action_space, self.num_envs)

    def _get_observations(self) -> dict[str, Tensor]:
        return {"policy": self._state.clone()}

    def _reset(self, envs: Tensor) -> None:
        """Start new episodes in the environments of the mask envs, [num_envs]."""
        self.extras["log"] = {
            "Episode_Reward/small": self._return[envs].mean() / self.max_episode_length_s,
            "Episode_Termination/time_out": self.reset_time_outs.float().mean().item(),
        }
        self._state[envs] = torch.rand_like(self._state[envs]) - 0.5
        self._return[envs] = 0.0
        self.episode_length_buf[envs] = 0

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Tensor], Any]:
        if seed is not None:
            self.seed(seed)
        self._reset(torch.ones_like(self.reset_terminated))
        return self._get_observations(), self.extras

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor, dict[str, Any]]:
        assert action.shape == (self.num_envs, self.num_actions), action.shape
        error = action.to(self.device) - 0.5 * self._state[:, : self.num_actions]
        self.reward_buf[:] = (1.0 - error.square().mean(dim=-1)) * self.step_dt
        self._return += self.reward_buf
        self._state.mul_(0.9).add_(0.3 * torch.randn_like(self._state))
        self.episode_length_buf += 1
        self.reset_terminated[:] = self._state.abs().amax(dim=-1) > self.limit
        self.reset_time_outs[:] = self.episode_length_buf >= self.max_episode_length
        done = self.reset_terminated | self.reset_time_outs
        if done.any():
            self._reset(done)
        return self._get_observations(), self.reward_buf, self.reset_terminated, self.reset_time_outs, self.extras

    def render(self, recompute: bool = False) -> np.ndarray | None:
        return np.zeros((64, 64, 3), dtype=np.uint8) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        self._is_closed = True


class SmallManagerBasedEnv(_SmallEnv, ManagerBasedRLEnv):
    """For manager-based tasks: the wrapper asks its managers."""

    def __init__(self, cfg: ManagerBasedRLEnvCfg, num_obs: int, num_actions: int, **kwargs: Any) -> None:
        super().__init__(cfg, num_obs, num_actions, **kwargs)
        self.action_manager = SimpleNamespace(total_action_dim=num_actions)
        self.observation_manager = SimpleNamespace(
            compute=lambda update_history=False: self._get_observations(),
            active_terms={"policy": ["state"]},
            group_obs_dim={"policy": (num_obs,)},
        )


class SmallDirectEnv(_SmallEnv, DirectRLEnv):
    """For direct tasks: the wrapper asks the environment itself, which has no managers."""


def _box(size: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,))


def make_small_env(
    cfg: ManagerBasedRLEnvCfg | DirectRLEnvCfg,
    num_obs: int,
    num_actions: int,
    render_mode: str | None = None,
    **entry_points: Any,
) -> _SmallEnv:
    """Build the small environment of the config's kind; gym also passes every keyword argument of the registration."""
    kind = SmallDirectEnv if isinstance(cfg, DirectRLEnvCfg) else SmallManagerBasedEnv
    return kind(cfg, num_obs, num_actions, render_mode=render_mode)
