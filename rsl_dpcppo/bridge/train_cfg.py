# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The configuration dictionary of RSL-RL's runner."""

from __future__ import annotations

import dataclasses
from typing import Any

from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.bridge.installed import find_generation
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.config import GaussianActorCfg, RunnerCfg
from rsl_dpcppo.errors import ConfigError


def to_rsl_rl(cfg: RunnerCfg, generation: int = GENERATION) -> dict[str, Any]:
    """Return the dictionary that RSL-RL's ``OnPolicyRunner`` takes.

    Args:
        cfg: The configuration.
        generation: 3 for the policy classes of rsl-rl-lib 3.x, 5 for the models of 5.x; by default the installed one.
    """
    check_hosted(cfg.name, generation)
    runner = dataclasses.asdict(cfg)
    algorithm_class, model_class = class_names(cfg.name, generation)
    runner["algorithm"] = {"class_name": algorithm_class, "rnd_cfg": None, **runner["algorithm"]}
    runner["actor"] = {"class_name": model_class, **runner["actor"]}
    runner["critic"] = {"class_name": "MLPModel", **runner["critic"]}
    return find_generation(generation).to_rsl_rl(runner, isinstance(cfg.actor, GaussianActorCfg))


def check_hosted(name: str, generation: int = GENERATION) -> None:
    """Check that a generation's runner has a place for an algorithm.

    Raises:
        ConfigError: If it has none.
    """
    if name in ALGORITHMS and not ALGORITHMS[name].is_on_policy and not find_generation(generation).TAKES_OFF_POLICY:
        raise ConfigError(
            f"{ALGORITHMS[name].title} learns from a replay buffer, and the runner of rsl-rl-lib {generation}.x "
            "builds, feeds and saves PPO's parts alone: install rsl-rl-lib 5.x."
        )


def class_names(name: str, generation: int = GENERATION) -> tuple[str, str]:
    """Return what configurations call an algorithm and its model over vectors: "rsl_dpcppo.DPCPPO", ....

    Args:
        name: Name of the algorithm, or "ppo" for RSL-RL's own.
        generation: That of RSL-RL; by default the installed one.
    """
    host = find_generation(generation)
    if name not in ALGORITHMS:
        return "PPO", host.STOCK_MODEL
    line = ALGORITHMS[name]
    model = host.model_names(line.model, line.takes_every_encoder)[0]
    return f"rsl_dpcppo.{line.class_name}", f"rsl_dpcppo.{model}"
