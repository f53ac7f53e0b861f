# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""An agent's dictionary for RSL-RL 3.x."""

from __future__ import annotations

from typing import Any

from packaging.version import Version

from rsl_dpcppo.bridge.version import VERSION

MODEL_SECTION = "policy"
"""What an agent's dictionary calls the section of the flow model."""

STOCK_MODEL = "ActorCritic"
"""RSL-RL's own model over vectors, in that section."""

STOCK_PACKAGE = "rsl_rl.modules"
"""Where that model is."""

STOCK_NETWORK, STOCK_NORMALIZER = "actor", "actor_obs_normalizer"
"""What that model calls the network that makes the mean action, and the normaliser before it."""

TAKES_OFF_POLICY = False
"""Whether the runner leaves building and saving to the algorithm, so that it need not be PPO."""

_RENAMED = {
    "hidden_dims": "actor_hidden_dims",
    "obs_normalization": "actor_obs_normalization",
    "init_std": "init_noise_std",
    "std_type": "noise_std_type",
}
"""The actor's fields that have other names here."""


def model_names(stem: str, takes_every_encoder: bool) -> list[str]:
    """Return the names of an algorithm's public models, first that over vectors. Images are from 3.3."""
    endings = ["ActorCritic"]
    if takes_every_encoder:
        endings += ["ActorCriticRecurrent", *(["ActorCriticCNN"] if Version("3.3") <= VERSION else [])]
    return [f"{stem}{ending}" for ending in endings]


def to_rsl_rl(runner: dict[str, Any], is_gaussian: bool) -> dict[str, Any]:
    """Return an agent as the dictionary that the runner takes; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    actor, critic = runner.pop("actor"), runner.pop("critic")
    runner["obs_groups"] = {"policy": ["policy"], "critic": ["policy"]}
    runner["policy"] = {
        **{_RENAMED.get(name, name): value for name, value in actor.items()},
        "critic_hidden_dims": critic["hidden_dims"],
        "critic_obs_normalization": critic["obs_normalization"],
    }
    return runner
