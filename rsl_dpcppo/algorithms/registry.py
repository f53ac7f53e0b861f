# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The algorithms, one line each. What lists them anywhere is made from these lines.

A line's folder has, by these names::

    config.py      <class_name>RunnerCfg    the agent's configuration, a RunnerCfg
    algorithm.py   <class_name>Learner      the update, with its fields_class and its policy_class

From them follow the agent ``name``, and the public classes ``rsl_dpcppo.<class_name>`` and
``rsl_dpcppo.<model>Actor`` (rsl-rl-lib 5.x) or ``rsl_dpcppo.<model>ActorCritic`` (3.x).

Imports neither torch nor RSL-RL: Isaac Lab 2.3 has to start its simulator before torch is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Algorithm:
    """One line."""

    name: str
    """What --agent takes, and the folder."""
    title: str
    """What tables and pictures call it."""
    class_name: str
    """Public class of the algorithm."""
    model: str
    """What the names of its public models begin with. Algorithms with the same policy share them."""
    takes_every_encoder: bool = False
    """Whether it knows memory, images and symmetry, rather than plain vectors alone."""
    is_on_policy: bool = True
    """Whether it learns from rollouts, as PPO, rather than from a replay buffer."""

    @property
    def runner_cfg(self) -> Any:
        """Class of the agent's configuration."""
        module = import_module(f"rsl_dpcppo.algorithms.{self.name}.config")
        return getattr(module, f"{self.class_name}RunnerCfg")

    @property
    def learner(self) -> Any:
        """Class of the update."""
        module = import_module(f"rsl_dpcppo.algorithms.{self.name}.algorithm")
        return getattr(module, f"{self.class_name}Learner")


ALGORITHMS = {
    line.name: line
    for line in (
        Algorithm("dpcppo", "DP-CPPO", "DPCPPO", "Flow", takes_every_encoder=True),
        Algorithm("dpcppo_fold", "DP-CPPO, folded rarely", "DPCPPOFold", "FlowFold", takes_every_encoder=True),
        Algorithm("genpo", "GenPO", "GenPO", "GenPO"),
        Algorithm("genpopp", "GenPO++", "GenPOPlusPlus", "GenPOPlusPlus"),
        Algorithm("policyflow", "PolicyFlow", "PolicyFlow", "PolicyFlow"),
        Algorithm("fpo", "FPO", "FPO", "FPO"),
        Algorithm("fpopp", "FPO++", "FPOPlusPlus", "FPO"),
        Algorithm("dppo", "DPPO", "DPPO", "DPPO"),
        Algorithm("sac", "SAC", "SAC", "SquashedGaussian", is_on_policy=False),
        Algorithm("dpmd", "DPMD", "DPMD", "Diffusion", is_on_policy=False),
        Algorithm("sdac", "SDAC", "SDAC", "Diffusion", is_on_policy=False),
    )
}
"""The algorithms of this package, by name."""


def peers() -> list[str]:
    """Return the names of the algorithms beside DP-CPPO."""
    return [name for name in ALGORITHMS if name != "dpcppo"]


def on_policy_peers() -> list[str]:
    """Return the names of those that are PPO with another policy."""
    return [name for name in peers() if ALGORITHMS[name].is_on_policy]


def off_policy() -> list[str]:
    """Return the names of those that learn from a replay buffer."""
    return [name for name, line in ALGORITHMS.items() if not line.is_on_policy]
