# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Overrides from the command line, and the configurations that a run's folder keeps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.config import PPORunnerCfg, RunnerCfg
from rsl_dpcppo.config.checks import check_bool
from rsl_dpcppo.config.fields import BEFORE
from rsl_dpcppo.errors import CheckpointError, ConfigError, did_you_mean

_UNREADABLE = (OmegaConfBaseException, YAMLError, TypeError, UnicodeDecodeError)
"""What OmegaConf raises for text that is no YAML, or no value of the field."""

LOG_ROOT = Path("logs") / "rsl_rl"
"""Folder of all experiments, below the working directory."""

NAMES_BEFORE = {"MultiGoal-v0": "multi_goal", "TwoModes-v0": "two_modes"}
"""What params/env.yaml of release 0.1.0 calls a task. Those of a host had its name without the host's prefix."""

Cfg = TypeVar("Cfg")


def override(cfg: Cfg, overrides: list[str], section: str = "agent") -> Cfg:
    """Apply overrides such as ``agent.algorithm.score_coef=0.5``.

    Args:
        cfg: Configuration to start from, a dataclass.
        overrides: The overrides.
        section: What they begin with, as in Isaac Lab: "agent" or "env".

    Returns:
        The configuration with the overrides, the given one if there are none.

    Raises:
        ConfigError: If an override's field is unknown or of another type.
    """
    for text in overrides:
        structured = OmegaConf.structured(cfg)
        try:
            cfg = _fill(structured, OmegaConf.from_dotlist([text.removeprefix(f"{section}.")]))
        except _UNREADABLE as error:
            raise ConfigError(f"'{text}': {_explain(structured, text.partition('=')[0], error)}") from None
    return cfg


def _fill(structured: DictConfig, values: Any) -> Any:
    """Return the configuration of a structure with other values.

    Raises:
        ConfigError: If a switch is given as a number, which OmegaConf would take.
    """
    merged = OmegaConf.merge(structured, values)
    _check_switches(merged, values, "")
    return OmegaConf.to_object(merged)


def _check_switches(merged: Any, values: Any, name: str) -> None:
    if isinstance(values, DictConfig):
        for key in values:
            _check_switches(merged[key], values[key], f"{name}.{key!s}".removeprefix("."))
    elif isinstance(merged, bool) and isinstance(values, (int, float)):
        check_bool(name, values)


def _explain(cfg: DictConfig, key: str, error: Exception) -> str:
    """Say which part of a key does not exist, or else what the error says of the value."""
    node: Any = cfg  # a section, a list or a value
    path, *names = key.split(".")
    for name in names:
        known = [str(field) for field in node] if isinstance(node, DictConfig) else []
        if name not in known:
            fields = ", ".join(known) or "none"
            return f"there is no field '{name}' in {path}.{did_you_mean(name, known)} Its fields: {fields}."
        node = node[name]
        path = f"{path}.{name}"
    return str(error).splitlines()[0]


def changes(before: Any, after: Any, name: str) -> list[str]:
    """Return the fields in which two configurations differ, as ``name.field: before -> after``."""
    if not dataclasses.is_dataclass(before):
        return [] if before == after else [f"{name}: {before} -> {after}"]
    fields = [field.name for field in dataclasses.fields(before)]
    return [line for x in fields for line in changes(getattr(before, x), getattr(after, x), f"{name}.{x}")]


def save_agent(cfg: RunnerCfg, run: Path) -> None:
    """Write params/agent.yaml into a run's folder. It names the algorithm's class, as RSL-RL's dictionary does."""
    from rsl_dpcppo.bridge.train_cfg import class_names  # imports torch, which reading does not need

    (run / "params").mkdir(parents=True, exist_ok=True)
    saved: Any = OmegaConf.to_container(OmegaConf.structured(cfg))
    saved["algorithm"] = {"class_name": class_names(cfg.name)[0], **saved["algorithm"]}
    OmegaConf.save(OmegaConf.create(saved), run / "params" / "agent.yaml")


def load_agent(run: Path) -> RunnerCfg | None:
    """Read params/agent.yaml of a run's folder; None if there is none.

    Raises:
        ConfigError: If the file does not hold the configuration of an agent of this package.
    """
    path = run / "params" / "agent.yaml"
    return _whole_agent(path, _read(path)) if path.is_file() else None


def agent_of(path: Path) -> str | None:
    """Return the name of the agent that a file holds; None if it holds some fields of any.

    Raises:
        ConfigError: If it is no file of an agent of this package.
    """
    saved = _read(path)
    return _kind(saved, path).name if _is_whole(saved) else None


def load_config(path: Path, preset: RunnerCfg, agent: str) -> RunnerCfg:
    """Read a file with an agent's fields: all of them, as a run saves them, or some that change the preset.

    Args:
        path: The file.
        preset: The agent's preset.
        agent: Its name.

    Raises:
        ConfigError: If the file does not hold such fields, or is another agent's.
    """
    saved = _read(path)
    if not _is_whole(saved):
        structured = OmegaConf.structured(preset)
        try:
            return _fill(structured, saved)
        except _UNREADABLE as error:
            key = getattr(error, "full_key", None) or ""
            raise ConfigError(f"'{path}': {_explain(structured, f'agent.{key}', error)}") from None
    cfg = _whole_agent(path, saved)
    if cfg.name != preset.name:
        raise ConfigError(f"'{path}' holds the agent '{cfg.name}', and --agent is '{agent}'.")
    return cfg


def _read(path: Path) -> DictConfig:
    """Read a YAML file of fields.

    Raises:
        ConfigError: If it is none.
    """
    if not path.is_file():
        raise ConfigError(f"'{path}' is no file.")
    try:
        saved = OmegaConf.load(path)
    except _UNREADABLE as error:
        raise ConfigError(f"'{path}' does not hold an agent of this package: {str(error).splitlines()[0]}") from None
    if not isinstance(saved, DictConfig):
        raise ConfigError(f"'{path}' does not hold an agent of this package: it has no fields.")
    return saved


def _is_whole(saved: DictConfig) -> bool:
    """Return whether a file has the name of an algorithm's class, as those that runs save have."""
    return isinstance(saved.get("algorithm"), DictConfig) and "class_name" in saved.algorithm


def _whole_agent(path: Path, saved: DictConfig) -> RunnerCfg:
    """Return the agent that a run has saved."""
    sections = ("actor", "critic", "algorithm")
    if not all(isinstance(saved.get(section), DictConfig) for section in sections):
        raise ConfigError(f"'{path}' does not hold an agent of this package: it lacks one of {', '.join(sections)}.")
    try:
        kind = _kind(saved, path)
        _fill_in(saved, kind)
        return _fill(OmegaConf.structured(kind), saved)
    except _UNREADABLE as error:
        raise ConfigError(f"'{path}' does not hold an agent of this package: {str(error).splitlines()[0]}") from None


def _kind(saved: DictConfig, path: Path) -> type[RunnerCfg]:
    """Return the class of a saved agent, and take its algorithm's name out."""
    name = saved.algorithm.pop("class_name", None)
    kinds = {"PPO": PPORunnerCfg, **{f"rsl_dpcppo.{line.class_name}": line.runner_cfg for line in ALGORITHMS.values()}}
    if name is None:
        return _resembling(saved, list(kinds.values()))
    if name not in kinds:
        raise ConfigError(f"'{path}' names the algorithm {name}; this package has {', '.join(kinds)}.")
    return kinds[name]


def _fill_in(saved: DictConfig, kind: type[RunnerCfg]) -> None:
    """Add the fields that there were not yet when an agent was saved, with what was in their place then."""
    preset = kind()
    for section in ("actor", "critic", "algorithm"):
        for field in dataclasses.fields(getattr(preset, section)):
            if BEFORE in field.metadata and field.name not in saved[section]:
                saved[section][field.name] = field.metadata[BEFORE]


def _resembling(saved: DictConfig, kinds: list[type[RunnerCfg]]) -> type[RunnerCfg]:
    """Return the class of an agent of a release that saved no name: that which has its fields, and fewest others."""

    def distance(kind: type[RunnerCfg]) -> int:
        cfg = OmegaConf.structured(kind)
        return sum(len({*saved[section]} ^ {*cfg[section]}) for section in ("actor", "algorithm"))

    return min(kinds, key=distance)


def load_env(run: Path, cfg: Cfg) -> Cfg:
    """Return an environment's configuration with the values of params/env.yaml in a run's folder, if there is one.

    Raises:
        ConfigError: If the file does not fit the configuration.
    """
    path = run / "params" / "env.yaml"
    if not path.is_file():
        return cfg
    try:
        saved: Any = OmegaConf.load(path)
        names = [field.name for field in dataclasses.fields(cfg) if field.name in saved]  # type: ignore[arg-type]
        return _fill(OmegaConf.structured(cfg), OmegaConf.create({name: saved[name] for name in names}))
    except _UNREADABLE as error:
        raise ConfigError(f"'{path}' does not describe this task: {str(error).splitlines()[0]}") from None


def check_task(run: Path, task: str) -> None:
    """Compare a task with the one that a run was trained on, if its params/env.yaml says it.

    Raises:
        CheckpointError: If it is another.
    """
    path = run / "params" / "env.yaml"
    try:
        saved: Any = OmegaConf.load(path) if path.is_file() else {}
    except _UNREADABLE:
        return  # load_env says what is wrong with it
    trained_on = saved.get("task") if isinstance(saved, DictConfig) else None
    if isinstance(trained_on, str) and trained_on not in (task, task.partition("-")[2], NAMES_BEFORE.get(task)):
        raise CheckpointError(f"'{run}' was trained on {trained_on}, and --task is '{task}'.")


class _AgentLoader(yaml.SafeLoader):
    """Reads the tuples that mjlab writes, as lists, and nothing else that YAML's safe loader refuses."""


def _construct_tuple(loader: _AgentLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


_AgentLoader.add_constructor("tag:yaml.org,2002:python/tuple", _construct_tuple)


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
        agent = yaml.load(path.read_text(encoding="utf-8"), Loader=_AgentLoader)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is no YAML of plain values: {str(error).splitlines()[0]}") from None
    return agent if isinstance(agent, dict) else {}
