# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The configuration dictionary of either RSL-RL generation."""

from __future__ import annotations

import dataclasses
from typing import Any

from rsl_dpcppo.config import DPCPPORunnerCfg, FlowFields, PPORunnerCfg
from rsl_dpcppo.hosts.rsl_rl.version import GENERATION


def to_rsl_rl(cfg: PPORunnerCfg | DPCPPORunnerCfg, generation: int = GENERATION) -> dict[str, Any]:
    """Return the dictionary that RSL-RL's ``OnPolicyRunner`` takes.

    Args:
        cfg: The configuration.
        generation: 3 for the policy classes of rsl-rl-lib 3.x, 5 for the models of 5.x; by default the installed one.
    """
    runner = dataclasses.asdict(cfg)
    actor, critic, algorithm = runner.pop("actor"), runner.pop("critic"), runner.pop("algorithm")
    is_flow = isinstance(cfg, DPCPPORunnerCfg)
    flow = {f.name: actor.pop(f.name) for f in dataclasses.fields(FlowFields)} if is_flow else {}
    runner["algorithm"] = {"class_name": "rsl_dpcppo.DPCPPO" if is_flow else "PPO", "rnd_cfg": None, **algorithm}
    if generation == 3:
        runner["obs_groups"] = {"policy": ["policy"], "critic": ["policy"]}
        runner["policy"] = {
            "class_name": "rsl_dpcppo.FlowActorCritic" if is_flow else "ActorCritic",
            "init_noise_std": actor["init_std"],
            "noise_std_type": actor["std_type"],
            "actor_hidden_dims": actor["hidden_dims"],
            "critic_hidden_dims": critic["hidden_dims"],
            "activation": actor["activation"],
            "actor_obs_normalization": actor["obs_normalization"],
            "critic_obs_normalization": critic["obs_normalization"],
            **flow,
        }
    else:
        runner["obs_groups"] = {"actor": ["policy"], "critic": ["policy"]}
        distribution = {
            "class_name": "GaussianDistribution",
            "init_std": actor.pop("init_std"),
            "std_type": actor.pop("std_type"),
        }
        runner["actor"] = {
            "class_name": "rsl_dpcppo.FlowActor" if is_flow else "MLPModel",
            **actor,
            "distribution_cfg": distribution,
            **flow,
        }
        runner["critic"] = {"class_name": "MLPModel", **critic}
    return runner
