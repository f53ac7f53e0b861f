# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""An agent's dictionary for RSL-RL 5.x."""

from __future__ import annotations

from typing import Any

MODEL_SECTION = "actor"
"""What an agent's dictionary calls the section of the flow model."""

STOCK_MODEL = "MLPModel"
"""RSL-RL's own model over vectors, in that section."""

STOCK_PACKAGE = "rsl_rl.models"
"""Where that model is."""

STOCK_NETWORK, STOCK_NORMALIZER = "mlp", "obs_normalizer"
"""What that model calls the network that makes the mean action, and the normaliser before it."""

TAKES_OFF_POLICY = True
"""Whether the runner leaves building and saving to the algorithm, so that it need not be PPO."""


def model_names(stem: str, takes_every_encoder: bool) -> list[str]:
    """Return the names of an algorithm's public models, first that over vectors."""
    return [f"{stem}{ending}" for ending in (("Actor", "RNNActor", "CNNActor") if takes_every_encoder else ("Actor",))]


def to_rsl_rl(runner: dict[str, Any], is_gaussian: bool) -> dict[str, Any]:
    """Return an agent as the dictionary that the runner takes; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    runner["obs_groups"] = {"actor": ["policy"], "critic": ["policy"]}
    if is_gaussian:
        runner["actor"]["distribution_cfg"] = {
            "class_name": "GaussianDistribution",
            "init_std": runner["actor"].pop("init_std"),
            "std_type": runner["actor"].pop("std_type"),
        }
    return runner
