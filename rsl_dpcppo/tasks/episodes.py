# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluation as the paper does it on Playground: undiscounted returns of whole episodes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsl_dpcppo.tasks.task import Policy


@dataclass
class Returns:
    """What a policy earns in whole episodes."""

    mean_return: float
    """Mean undiscounted return."""

    standard_error: float
    """Standard error of the mean; 0 for a single episode."""

    standard_deviation: float
    """Standard deviation over the episodes; 0 for a single one."""

    mean_length: float
    """Mean number of steps."""

    num_episodes: int
    """Number of episodes."""


@torch.inference_mode()
def run_episodes(policy: Policy, env: Any) -> tuple[Tensor, Tensor]:
    """Run one episode in every environment, from its start to its end.

    Args:
        policy: The policy.
        env: RSL-RL's vectorised environment, with ``reset``. An episode has at most ``max_episode_length`` steps.

    Returns:
        Undiscounted returns and numbers of steps. Shape of both: [num_envs].
    """
    observations, _ = env.reset()
    returns = torch.zeros(env.num_envs, device=env.device)
    lengths = torch.zeros_like(returns)
    alive = torch.ones_like(returns, dtype=torch.bool)
    # As many steps as an episode can have: to stop when the last one ends, the host would have to ask at every step.
    for _ in range(int(env.max_episode_length)):
        observations, rewards, dones, _ = env.step(policy(observations))
        returns += rewards * alive
        lengths += alive
        alive &= dones == 0
    return returns, lengths


def evaluate(policy: Policy, env: Any) -> Returns:
    """Measure what a policy earns in one episode of every environment."""
    returns, lengths = (values.double().cpu() for values in run_episodes(policy, env))
    deviation = returns.std().item() if len(returns) > 1 else 0.0
    return Returns(
        mean_return=returns.mean().item(),
        standard_error=deviation / len(returns) ** 0.5,
        standard_deviation=deviation,
        mean_length=lengths.mean().item(),
        num_episodes=len(returns),
    )


def report(policies: dict[str, Policy], env: Any, folder: Path) -> None:
    """Evaluate policies, print a table, and write it as one row of JSON to ``evaluation.json``.

    Args:
        policies: Policies by name.
        env: Environment, whose number of environments is the number of episodes.
        folder: Where the file goes.
    """
    results = {name: evaluate(policy, env) for name, policy in policies.items()}
    print(f"\nUndiscounted return of {env.num_envs} episodes (mean ± standard error)")
    width = max(map(len, results))
    for name, result in results.items():
        print(
            f"  {name:{width}}  {result.mean_return:9.2f} ± {result.standard_error:.2f}"
            f"   length {result.mean_length:.1f}"
        )
    print()
    row = {name: asdict(result) for name, result in results.items()}
    (folder / "evaluation.json").write_text(json.dumps(row) + "\n", encoding="utf-8")
