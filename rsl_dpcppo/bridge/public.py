# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The classes that configurations name, built from the lines of the registry for the installed RSL-RL."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from rsl_dpcppo.algorithms.registry import ALGORITHMS, Algorithm
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.off_policy import OffPolicy
from rsl_dpcppo.bridge.ppo import FlowPPO
from rsl_dpcppo.bridge.train_cfg import check_hosted, class_names

_PLAIN = {
    "PPORunnerCfg": "rsl_dpcppo.config",
    "Runner": "rsl_dpcppo.bridge.runner",
    "to_rsl_rl": "rsl_dpcppo.bridge.train_cfg",
}
"""What does not depend on the algorithm, and where it is."""


def public_names() -> list[str]:
    """Return the names that ``rsl_dpcppo`` has for users."""
    names = [*_PLAIN, *(f"{algorithm.class_name}RunnerCfg" for algorithm in ALGORITHMS.values())]
    for algorithm in ALGORITHMS.values():
        if algorithm.is_on_policy or generation.TAKES_OFF_POLICY:
            names += [algorithm.class_name, *_model_names(algorithm)]
    return sorted(set(names))


def find_public(name: str) -> Any:
    """Return what ``rsl_dpcppo`` has under a name, or None if there is nothing."""
    if name in _PLAIN:
        return getattr(import_module(_PLAIN[name]), name)
    for algorithm in ALGORITHMS.values():
        if name == f"{algorithm.class_name}RunnerCfg":
            return algorithm.runner_cfg
    return find_class(name)


def find_class(name: str) -> Any:
    """Return an algorithm or a model as RSL-RL builds it, or None if there is none of this name.

    Raises:
        ConfigError: If the installed RSL-RL's runner has no place for it.
    """
    for algorithm in ALGORITHMS.values():
        if name not in (algorithm.class_name, *_model_names(algorithm)):
            continue
        check_hosted(algorithm.name)
        if name == algorithm.class_name:
            return _algorithm_class(algorithm)
        return _model_class(name, algorithm.model, algorithm.learner.policy_class)
    return None


def _model_names(algorithm: Algorithm) -> list[str]:
    return generation.model_names(algorithm.model, algorithm.takes_every_encoder)


@cache
def _algorithm_class(algorithm: Algorithm) -> Any:
    learner = algorithm.learner
    base, theirs = (FlowPPO, "those of RSL-RL's PPO and of ") if algorithm.is_on_policy else (OffPolicy, "those of ")
    doc = f"{learner.__doc__}\n\n    Fields: {theirs}``{learner.fields_class.__name__}``.\n    "
    return type(
        algorithm.class_name,
        (base,),
        {
            "__doc__": doc,
            "__module__": "rsl_dpcppo",
            "learner_class": learner,
            "fields_class": learner.fields_class,
            "suitable_model": class_names(algorithm.name)[1],
        },
    )


@cache
def _model_class(name: str, stem: str, policy_class: Any) -> Any:
    kind = generation.model_class(name, stem, policy_class)
    kind.__module__ = "rsl_dpcppo"
    return kind
