# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Overrides from the command line, and the configuration that a run's folder keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rsl_dpcppo.config import DPCPPORunnerCfg, PPORunnerCfg, RunnerCfg
from rsl_dpcppo.errors import ConfigError, did_you_mean

PREFIX = "agent."
"""What overrides begin with, as in Isaac Lab."""

_UNREADABLE = (OmegaConfBaseException, YAMLError, TypeError, UnicodeDecodeError)
"""What OmegaConf raises for text that is no YAML, or no value of the field."""

Cfg = TypeVar("Cfg", bound=RunnerCfg)


def override(cfg: Cfg, overrides: list[str]) -> Cfg:
    """Apply overrides such as ``agent.algorithm.score_coef=0.5``.

    Args:
        cfg: Configuration to start from.
        overrides: The overrides.

    Returns:
        The configuration with the overrides, the given one if there are none.

    Raises:
        ConfigError: If an override is not one, or its field is unknown or of another type.
    """
    for text in overrides:
        key, equals, _ = text.partition("=")
        if not equals or not key.startswith(PREFIX):
            raise ConfigError(f"Unknown argument '{text}'. Overrides look like agent.algorithm.score_coef=0.5")
        structured = OmegaConf.structured(cfg)
        try:
            changed = OmegaConf.from_dotlist([text.removeprefix(PREFIX)])
            cfg = OmegaConf.to_object(OmegaConf.merge(structured, changed))  # type: ignore[assignment]
        except _UNREADABLE as error:
            raise ConfigError(f"'{text}': {_explain(structured, key.removeprefix(PREFIX), error)}") from None
    return cfg


def _explain(cfg: DictConfig, key: str, error: Exception) -> str:
    """Say which part of a key does not exist, or else what the error says of the value."""
    node: Any = cfg  # a section, a list or a value
    path = "agent"
    for name in key.split("."):
        known = [str(field) for field in node] if isinstance(node, DictConfig) else []
        if name not in known:
            fields = ", ".join(known) or "none"
            return f"there is no field '{name}' in {path}.{did_you_mean(name, known)} Its fields: {fields}."
        node = node[name]
        path = f"{path}.{name}"
    return str(error).splitlines()[0]


def save_agent(cfg: PPORunnerCfg | DPCPPORunnerCfg, run: Path) -> None:
    """Write params/agent.yaml into a run's folder."""
    (run / "params").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.structured(cfg), run / "params" / "agent.yaml")


def load_agent(run: Path) -> PPORunnerCfg | DPCPPORunnerCfg | None:
    """Read params/agent.yaml of a run's folder; None if there is none.

    Raises:
        ConfigError: If the file does not hold the configuration of an agent of this package.
    """
    path = run / "params" / "agent.yaml"
    if not path.is_file():
        return None
    try:
        saved = OmegaConf.load(path)
        sections = ("actor", "critic", "algorithm")
        if not isinstance(saved, DictConfig) or any(section not in saved for section in sections):
            raise ConfigError(
                f"'{path}' does not hold an agent of this package: it lacks one of {', '.join(sections)}."
            )
        kind = PPORunnerCfg if OmegaConf.select(saved, "actor.flow_steps") is None else DPCPPORunnerCfg
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), saved))  # type: ignore[return-value]
    except _UNREADABLE as error:
        raise ConfigError(f"'{path}' does not hold an agent of this package: {str(error).splitlines()[0]}") from None


def is_rsl_rl_agent(run: Path) -> bool:
    """Return whether a run's params/agent.yaml is RSL-RL's own dictionary, as Isaac Lab writes it."""
    agent = load_rsl_rl_agent(run)
    return any("class_name" in (agent.get(section) or {}) for section in ("policy", "actor"))


def load_rsl_rl_agent(run: Path) -> dict[str, Any]:
    """Read params/agent.yaml of a run's folder as a dictionary; empty if there is none.

    Raises:
        ConfigError: If the file is no YAML of plain values.
    """
    path = run / "params" / "agent.yaml"
    if not path.is_file():
        return {}
    try:
        agent = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is no YAML of plain values: {str(error).splitlines()[0]}") from None
    return agent if isinstance(agent, dict) else {}
