# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A task that this package launches itself: its environment, its agents, and what is told of a trained policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rsl_dpcppo.config import RunnerCfg
from rsl_dpcppo.errors import ConfigError, did_you_mean

if TYPE_CHECKING:  # a task's name is looked up before torch is imported, which takes seconds
    import numpy as np
    from tensordict import TensorDict
    from torch import Tensor


@dataclass(frozen=True)
class Policy:
    """A way in which a trained agent acts."""

    act: Callable[[TensorDict], Tensor]
    """Maps observations of batch size [num_envs] to actions of shape [num_envs, num_actions]."""

    caption: str = ""
    """What a picture calls it; empty where the picture shows another of the agent's in its place."""

    def __call__(self, observations: TensorDict) -> Tensor:
        """Act."""
        return self.act(observations)


Film: TypeAlias = "tuple[list[np.ndarray], float]"
"""Frames of shape [height, width, 3], 8 bits a colour, and their number per second."""


@dataclass(frozen=True)
class Task:
    """A task. Its host, and torch, are imported when one of its functions is called, not before."""

    name: str
    """What --task takes."""

    agents: dict[str, Callable[[], RunnerCfg]]
    """Makes the configuration of each agent, by the agent's name."""

    env_cfg: Callable[[], Any]
    """Makes the default configuration of the environment, a dataclass: what env.x=y overrides."""

    make_env: Callable[[Any, int, str, int], Any]
    """(configuration, num_envs, device, seed) -> RSL-RL's vectorised environment."""

    report: Callable[[dict[str, Policy], Any, Path], None]
    """(policies by name, environment, folder): evaluates the policies, prints a table and writes its figures."""

    rivals: dict[str, str] = field(default_factory=dict)
    """Agents whose newest run the report of an agent shows as well."""

    film: Callable[[Any, Policy, int, str, int], Film] | None = None
    """(configuration, policy, num_steps, device, seed) -> frames of one environment, where it can be seen."""

    def make_agent(self, agent: str) -> RunnerCfg:
        """Return the configuration of an agent.

        Raises:
            ConfigError: If there is no such agent; the message lists those that there are.
        """
        if agent not in self.agents:
            raise ConfigError(
                f"Task '{self.name}' has no agent '{agent}'.{did_you_mean(agent, self.agents)} "
                f"Its agents: {', '.join(self.agents)}."
            )
        return self.agents[agent]()
