# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents in the config classes of a host, derived from a task's own PPO configuration there."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.bridge.public import find_class
from rsl_dpcppo.bridge.train_cfg import class_names
from rsl_dpcppo.config import GaussianActorCfg
from rsl_dpcppo.errors import ConfigError

FEED_FORWARD = ("ActorCritic", "MLPModel")
"""RSL-RL's models over vectors and without memory, of 3.x and of 5.x."""


NUM_ENVS = 4096
"""Environments that hosts with simulators of their own run, for what an agent sets by their number."""


@dataclass(frozen=True)
class Section:
    """What a runner configuration says of an agent's algorithm, or of its model, beside what is the task's."""

    class_name: str
    """Class that RSL-RL builds."""
    values: dict[str, Any]
    """Fields of the algorithm or the model: those that RSL-RL's do not have, and those that are not the task's."""

    def extend(self, ppo: Any, kind: type, configclass: Callable[[type], type], **values: Any) -> Any:
        """Return this section in the place of PPO's.

        Args:
            ppo: The task's section, left as it is.
            kind: The host's class of such sections.
            configclass: The host's decorator of such classes.
            values: Fields on top of both.

        Returns:
            A configuration of a subclass of ``kind``, which has and checks the agent's fields too.
        """
        fields_class = find_class(self.class_name.rpartition(".")[2]).fields_class
        extended = _extended_class(fields_class, kind, configclass)
        task = {name: copy.deepcopy(getattr(ppo, name)) for name in _names(ppo) & _names(extended)}
        return extended(**{**task, "class_name": self.class_name, **self.values, **values})


@cache
def _extended_class(fields_class: type, kind: type, configclass: Callable[[type], type]) -> Any:
    return configclass(type(f"{fields_class.__name__}Cfg", (fields_class, kind), {}))


def _names(cfg: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cfg)}


def agent_sections(name: str) -> tuple[Section, Section]:
    """Return the sections of an agent's algorithm and of its model over vector observations.

    Args:
        name: Name of the algorithm.
    """
    cfg, plain = ALGORITHMS[name].runner_cfg().sized(NUM_ENVS), GaussianActorCfg()
    algorithm, model = class_names(name)
    ours = {name: value for name, value in vars(cfg.algorithm).items() if name not in cfg.task_fields}
    return (
        Section(algorithm, ours),
        Section(
            model,
            # What any network has is the task's, unless the paper sets it.
            {name: value for name, value in vars(cfg.actor).items() if value != getattr(plain, name, None)},
        ),
    )


def check_encoders(name: str, models: dict[str, Any], algorithm: Any) -> None:
    """Check that a task's PPO has nothing that an algorithm does not know.

    Args:
        name: Name of the algorithm.
        models: The task's sections of models, by name.
        algorithm: Its section of the algorithm.

    Raises:
        ConfigError: If a model has memory or sees images, or PPO uses symmetry.
    """
    if ALGORITHMS[name].takes_every_encoder:
        return
    found = [
        f"{section}.class_name is {model.class_name!r}"
        for section, model in models.items()
        if model.class_name not in FEED_FORWARD
    ]
    if getattr(algorithm, "symmetry_cfg", None):
        found.append("algorithm.symmetry_cfg is set")
    if found:
        raise ConfigError(f"{found[0]}; {name} knows neither memory, nor images, nor symmetry. Take dpcppo.")
