# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The paper's studies: files that say what ``compare`` is to run, one for each figure and table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rsl_dpcppo.errors import ConfigError, did_you_mean

FOLDER = Path(__file__).parent / "studies"
"""Where the studies of the paper are."""

SIZES = ("small", "paper")
"""Sizes of a study: what two CPU cores do in an hour or a night, and the paper's own tasks and numbers."""


@dataclass
class Study:
    """What a study's file may say, at its top for both sizes and below the name of a size for that one."""

    title: str = ""
    """What is studied, and where in the paper."""
    task: list[str] = field(default_factory=list)
    """Names of the tasks."""
    agents: list[str] = field(default_factory=list)
    """Names of the agents."""
    vary: dict[str, list[Any]] = field(default_factory=dict)
    """Values of each field that is varied."""
    paired: bool = False
    """Whether the first values of all fields go together."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Values of fields that all runs have."""
    metrics: list[str] = field(default_factory=list)
    """What is drawn beside the return."""
    seeds: int = 3
    """Number of seeds."""
    num_envs: int = 0
    """Number of environments; 0 for the agent's."""
    iterations: int = 0
    """Iterations of each run; 0 for the agent's."""


def find_study(name: str) -> Path:
    """Return a study's file: one of the paper's by its name, or any by its path.

    Raises:
        ConfigError: If there is none; the message lists those of the paper.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if path.is_file():
        return path
    names = study_names()
    width = max(map(len, names))
    lines = [f"  {each:{width}}  {read_study(FOLDER / f'{each}.yaml', SIZES[0]).title}" for each in names]
    raise ConfigError("\n".join([f"There is no study '{name}'.{did_you_mean(name, names)} Studies:", *lines]))


def study_names() -> list[str]:
    """Return the names of the paper's studies."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_study(path: Path, size: str) -> Study:
    """Read a study in a size.

    Raises:
        ConfigError: If the file is no study, or does not have the size.
    """
    try:
        content = OmegaConf.load(path)
        if not isinstance(content, DictConfig):
            raise ConfigError(f"'{path}' is no study: it must have fields.")
        sizes = {each: content.pop(each, None) for each in SIZES}
        if sizes[size] is None:
            raise ConfigError(f"'{path}' has no size '{size}'.")
        study = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Study), content, sizes[size]))
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is no study: {str(error).splitlines()[0]}") from None
    assert isinstance(study, Study)
    return study


def study_arguments(name: str, size: str) -> list[str]:
    """Return the command line of ``compare`` that a study stands for.

    Args:
        name: Name of a study of the paper, or path of a file.
        size: One of :data:`SIZES`.

    Raises:
        ConfigError: If there is no such study.
    """
    path = find_study(name)
    study = read_study(path, size)
    lists = {"--task": study.task, "--agents": study.agents, "--metrics": study.metrics}
    numbers = {"--seeds": study.seeds, "--num_envs": study.num_envs, "--iterations": study.iterations}
    return [
        f"--name={path.stem}_{size}",
        *(f"{flag}={','.join(values)}" for flag, values in lists.items() if values),
        *(f"{flag}={value}" for flag, value in numbers.items() if value),
        *(f"--vary={name}={','.join(map(str, values))}" for name, values in study.vary.items()),
        *(["--paired"] if study.paired else []),
        *(f"{name}={value}" for name, value in study.overrides.items()),
    ]
