# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Two equally good actions, far apart: the smallest task on which a policy can hold two modes or lose one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.config.checks import check_float
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.metrics import share_entropy
from rsl_dpcppo.tasks.task import Policy

NUM_EVALUATED = 4096
"""Actions of an evaluation."""


@dataclass
class TwoModesCfg:
    """Where the good actions are."""

    modes: list[float] = field(default_factory=lambda: [1.0, -1.0])
    """The good actions, any number of them."""

    width: float = 0.25
    """Distance from a good action at which the reward has fallen to 1/e. Within twice of it an action is the mode's."""

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        if len(self.modes) < 2 or not all(isinstance(mode, (int, float)) and isfinite(mode) for mode in self.modes):
            raise ConfigError(f"env.modes is {self.modes!r}; it must be two or more actions.")
        check_float("env.width", self.width, minimum=0.0, minimum_excluded=True)


def reward(actions: Tensor, modes: Tensor, width: float) -> Tensor:
    """Return sum_i exp(-((a - m_i) / width)^2) of each action.

    Args:
        actions: a. Shape: [batch, 1].
        modes: m. Shape: [num_modes].
        width: Width of a peak, in actions.

    Returns:
        Rewards. Shape: [batch].
    """
    return (-((actions - modes) / width).square()).exp().sum(dim=-1)


def mode_shares(actions: Tensor, modes: Tensor, width: float) -> Tensor:
    """Return the share of the actions that is within two widths of each mode.

    Args:
        actions: a. Shape: [batch, 1].
        modes: m. Shape: [num_modes].
        width: Width of a peak, in actions.

    Returns:
        Shares. Shape: [num_modes].
    """
    return ((actions - modes).abs() < 2.0 * width).float().mean(dim=0)


class TwoModesEnv(VecEnv):
    """A bandit: the observation says nothing, an episode is one action in one dimension.

    Logs the share of each mode and the entropy of the shares.
    """

    cfg: dict[str, Any]
    """Description in plain values."""

    def __init__(self, cfg: TwoModesCfg, num_envs: int = 1024, device: str = "cpu") -> None:
        """Create the environment.

        Args:
            cfg: Where the good actions are.
            num_envs: Number of actions in a step.
            device: torch's device.
        """
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 1, 1
        self.device, self.step_dt = device, 1.0
        self.cfg = {"task": "two_modes", "num_envs": num_envs, **asdict(cfg)}
        self.modes, self.width = torch.tensor(cfg.modes, device=device), cfg.width
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)

    def get_observations(self) -> TensorDict:
        """Return ones. Shape: [num_envs, 1]."""
        return TensorDict(
            {"policy": torch.ones(self.num_envs, 1, device=self.device)}, batch_size=[self.num_envs], device=self.device
        )

    def reset(self) -> tuple[TensorDict, dict[str, Any]]:
        """Return the observations and an empty dictionary."""
        return self.get_observations(), {}

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Reward the actions. Every episode ends. Shape of the actions: [num_envs, 1]."""
        shares = mode_shares(actions, self.modes, self.width)
        log = {f"/two_modes/share_{mode:+g}": share for mode, share in zip(self.cfg["modes"], shares, strict=True)}
        log["/two_modes/share_entropy"] = share_entropy(shares)
        self.episode_length_buf = torch.zeros_like(self.episode_length_buf)
        time_outs = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        rewards = reward(actions, self.modes, self.width)
        return self.get_observations(), rewards, torch.ones_like(time_outs).long(), {"time_outs": time_outs, "log": log}

    def close(self) -> None:
        """Do nothing. There is no simulator to shut down."""


@torch.inference_mode()
def report(policies: dict[str, Policy], env: TwoModesEnv, folder: Path) -> None:
    """Print the mean reward and the shares of the modes of each policy, and write them to ``evaluation.json``.

    Args:
        policies: Policies by name.
        env: The environment.
        folder: Where to write.
    """
    observations = TwoModesEnv(TwoModesCfg(env.cfg["modes"], env.width), NUM_EVALUATED, env.device).get_observations()
    evaluation = {}
    print(f"\n{'':24s}{'reward':>8s}" + "".join(f"{f'at {mode:+g}':>10s}" for mode in env.cfg["modes"]))
    for name, policy in policies.items():
        actions = policy(observations)
        mean, shares = reward(actions, env.modes, env.width).mean().item(), mode_shares(actions, env.modes, env.width)
        modes = {f"{mode:+g}": share for mode, share in zip(env.cfg["modes"], shares.tolist(), strict=True)}
        evaluation[name] = {"mean_return": mean, "modes": modes}
        print(f"{name:24s}{mean:8.3f}" + "".join(f"{100.0 * share:8.1f} %" for share in shares.tolist()))
    (folder / "evaluation.json").write_text(json.dumps(evaluation) + "\n", encoding="utf-8")
