# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Environments that go wrong at some step: training ends with a sentence about it, and what was saved is sound."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agents import Bandit, agent_dict, make_runner, small_agent, small_peer
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.errors import EnvError, NonFiniteError
from rsl_dpcppo.tasks.agents import to_ppo

pytestmark = pytest.mark.campaign

NUM_ENVS, NUM_STEPS = 16, 8


def one_value(value: float) -> Callable[[Tensor, random.Random], Tensor]:
    def change(x: Tensor, rng: random.Random) -> Tensor:
        x = x.clone()
        x.view(-1)[rng.randrange(x.numel())] = value
        return x

    return change


FORMS: list[Callable[[Tensor, random.Random], Any]] = [
    lambda x, rng: None,
    lambda x, rng: x.numpy(),
    lambda x, rng: np.asarray(x),
    lambda x, rng: x.tolist(),
    lambda x, rng: x.float().mean(),
    lambda x, rng: x[: rng.randrange(NUM_ENVS)],
    lambda x, rng: x[..., None],
    lambda x, rng: torch.cat([x, x]),
    lambda x, rng: x.to(torch.complex64),
]
NUMBERS = [one_value(value) for value in (float("nan"), float("inf"), -float("inf"), 1e30, -1e25)]


class Failing(Bandit):
    """Changes one of its outputs at one step."""

    def __init__(self, output: str, change: Callable[[Tensor, random.Random], Any], rng: random.Random) -> None:
        super().__init__(NUM_ENVS)
        self.output, self.change, self.rng = output, change, rng
        self.remaining = rng.randrange(NUM_STEPS)

    def step(self, actions: Tensor) -> Any:
        observations, rewards, dones, extras = super().step(actions)
        self.remaining -= 1
        if self.remaining == -1:
            if self.output == "rewards":
                rewards = self.change(rewards, self.rng)
            elif self.output == "dones":
                dones = self.change(dones, self.rng)
            elif self.output == "time_outs":
                extras["time_outs"] = self.change(extras["time_outs"], self.rng)
            else:
                policy = self.change(observations["policy"], self.rng)
                fits = isinstance(policy, Tensor) and policy.shape[:1] == (NUM_ENVS,)
                observations = TensorDict({"policy": policy}, batch_size=NUM_ENVS) if fits else policy
        return observations, rewards, dones, extras


@pytest.mark.parametrize("name", ["dpcppo", "dpcppo_fold", "fpo", "ppo"])
@pytest.mark.parametrize("seed", range(60))
def test_a_step_that_goes_wrong(name: str, seed: int) -> None:
    rng = random.Random(f"{name}{seed}")
    output = rng.choice(["observations", "rewards", "dones", "time_outs"])
    numbers = NUMBERS if output in ("observations", "rewards") else [one_value(2)] if output == "dones" else []
    change = rng.choice(FORMS + 2 * numbers)
    cfg = small_agent() if name == "dpcppo" else to_ppo(small_agent()) if name == "ppo" else small_peer(name)
    cfg.actor.obs_normalization = cfg.critic.obs_normalization = rng.random() < 0.5
    runner = make_runner(Failing(output, change, rng), agent_dict(cfg), Runner)
    with pytest.raises((EnvError, NonFiniteError), match="The environment"):
        runner.learn(2)
    # The observation after an iteration's last step is of the next one, whose losses show it.
    assert_good(Path(generation.log_dir(runner)), agent_dict(cfg))


def assert_good(folder: Path, agent: dict[str, Any]) -> None:
    """Let what was saved before the failure go on where nothing fails."""
    for path in folder.glob("model_*.pt"):
        runner = make_runner(Bandit(NUM_ENVS), agent, Runner)
        runner.load(str(path))
        runner.learn(1)
