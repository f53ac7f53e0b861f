# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The runs of a comparison: every agent with every choice of the varied fields, on every task, with every seed."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from rsl_dpcppo.cli.run_cfg import override
from rsl_dpcppo.config import RunnerCfg
from rsl_dpcppo.errors import ConfigError, did_you_mean
from rsl_dpcppo.tasks.registry import find_task

PRESET = "preset"
"""The value of --vary that leaves a field as the agent has it."""

FIXED = ("seed", "run_name", "experiment_name")
"""Fields of an agent that the comparison itself sets."""


@dataclass(frozen=True)
class Vary:
    """A field and the values that it takes in turn."""

    section: str
    """What the field is of: "agent" for every agent, the name of one, or "env"."""
    name: str
    """The field below it, such as "algorithm.score_coef"."""
    values: tuple[str, ...]
    """The values as the command line writes them."""


@dataclass(frozen=True)
class Variant:
    """An agent with one choice of the varied fields."""

    agent: str
    """Name of the agent."""
    choice: str
    """The choice, such as "score_coef=0.1 entropy_coef=0"; empty where nothing is varied."""
    overrides: tuple[str, ...]
    """Overrides of "agent" and "env" that make it."""

    @property
    def label(self) -> str:
        """What tables and curves call it."""
        return f"{self.agent} {self.choice}".rstrip()

    def folder(self, name: str, task: str) -> str:
        """Return the folder of its runs on a task, below logs/rsl_rl, in a comparison of a name."""
        parts = (name, task, self.agent, self.choice)
        return "/".join(re.sub(r"[:/\\]", "-", part) for part in parts if part)


@dataclass(frozen=True)
class Run:
    """One training."""

    task: str
    variant: Variant
    cfg: RunnerCfg
    """The agent's configuration, with the run's seed and folder."""

    @property
    def title(self) -> str:
        """What the user reads."""
        return f"{self.task}, {self.variant.label}, seed {self.cfg.seed}"


def parse_vary(text: str, sections: Sequence[str]) -> Vary:
    """Read a value of --vary, such as ``agent.algorithm.score_coef=0,0.1``. Commas inside brackets are a list's.

    Args:
        text: The value.
        sections: What it may begin with.

    Raises:
        ConfigError: If it is not of that form, names a section that there is not, or a field that is not free.
    """
    path, _, values = text.partition("=")
    section, _, name = path.partition(".")
    parts = tuple(part.strip() for part in re.split(r",(?![^\[]*\])", values))
    if not name or not all(parts):
        raise ConfigError(f"--vary is '{text}'; it must look like agent.algorithm.score_coef=0,0.1,0.5.")
    if section not in sections:
        raise ConfigError(
            f"--vary is '{text}'; it must begin with one of {', '.join(sections)}.{did_you_mean(section, sections)}"
        )
    if section != "env" and name in FIXED:
        raise ConfigError(f"--vary is '{text}'; the comparison sets {name} itself: --seeds and --name say how.")
    return Vary(section, name, parts)


def make_variants(agent: str, fixed: Sequence[str], varied: Sequence[Vary], paired: bool) -> list[Variant]:
    """Return an agent with every choice of the fields that are varied for it.

    Args:
        agent: Name of the agent.
        fixed: Overrides of "agent" and "env" that all of them have.
        varied: The varied fields, those of other agents among them.
        paired: Whether the first values of all fields go together, then the second ones, ..., instead of every
            combination.

    Raises:
        ConfigError: If a field is varied twice, a choice comes twice, or fields to pair differ in their number of
            values.
    """
    varied = [vary for vary in varied if vary.section in ("agent", "env", agent)]
    fields = [f"{'env' if vary.section == 'env' else 'agent'}.{vary.name}" for vary in varied]
    if twice := next((field for field in fields if fields.count(field) > 1), ""):
        raise ConfigError(f"--vary names {twice} twice; give all of its values at once.")
    if paired and len({len(vary.values) for vary in varied}) > 1:
        counts = ", ".join(f"{field} has {len(vary.values)}" for field, vary in zip(fields, varied, strict=True))
        raise ConfigError(f"--paired takes as many values of each field; {counts}.")
    values = [vary.values for vary in varied]
    choices = zip(*values, strict=True) if paired and varied else itertools.product(*values)
    variants = []
    for choice in choices:
        pairs = list(zip(fields, choice, strict=True))
        text = " ".join(f"{_short(field, fields)}={_plain(value)}" for field, value in pairs)
        changes = [f"{field}={value}" for field, value in pairs if value != PRESET]
        variants.append(Variant(agent, text, (*fixed, *changes)))
    labels = [variant.label for variant in variants]
    if again := next((label for label in labels if labels.count(label) > 1), ""):
        raise ConfigError(f"--vary gives '{again}' twice; each value once.")
    return variants


def make_runs(
    tasks: Sequence[str],
    variants: Sequence[Variant],
    name: str,
    num_seeds: int,
    num_envs: int | None,
    iterations: int | None,
) -> list[Run]:
    """Return all runs, those of the first seed first.

    Args:
        tasks: Names of the tasks.
        variants: The agents.
        name: Name of the comparison.
        num_seeds: Number of seeds, from 1.
        num_envs: Number of environments; None for the agent's.
        iterations: Iterations of each run; None for the agent's.

    Raises:
        ConfigError: If there is no such task, agent or field, or a value is not right.
    """
    made = []
    for task_name, variant in itertools.product(tasks, variants):
        task = find_task(task_name)
        cfg = task.make_agent(variant.agent)
        cfg.num_envs, cfg.max_iterations = num_envs or cfg.num_envs, iterations or cfg.max_iterations
        cfg = override(cfg, _of("agent", variant))
        override(task.env_cfg(), _of("env", variant), "env")
        made.append((task_name, variant, dataclasses.replace(cfg, experiment_name=variant.folder(name, task_name))))
    return [
        Run(task_name, variant, dataclasses.replace(cfg, seed=seed, run_name=f"seed{seed}"))
        for seed in range(1, num_seeds + 1)
        for task_name, variant, cfg in made
    ]


def _of(section: str, variant: Variant) -> list[str]:
    return [text for text in variant.overrides if text.startswith(f"{section}.")]


def _short(field: str, fields: Sequence[str]) -> str:
    """Return the last part of a field's name, or all of it but the section where another one ends alike."""
    last = field.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in fields) == 1 else field.partition(".")[2]


def _plain(text: str) -> str:
    """Return a value in one way of writing it, so that 0.10 and 0.1 are the same run."""
    value: Any = OmegaConf.from_dotlist([f"value={text}"]).value
    return f"{value:.12g}" if isinstance(value, float) else str(value).replace(" ", "")


def agent_variants(
    agents: Sequence[str], overrides: dict[str, list[str]], vary: list[str], paired: bool
) -> list[Variant]:
    """Return the variants of all agents.

    Args:
        agents: Names of the agents.
        overrides: Overrides of the sections "agent" and "env", and of each agent by its name.
        vary: What --vary says, each time that it is given.
        paired: As of :func:`make_variants`.

    Raises:
        ConfigError: If what is varied is no field, or the numbers of values do not fit together.
    """
    varied = [parse_vary(text, ("agent", "env", *agents)) for text in vary]
    variants = []
    for agent in agents:
        own = [f"agent{text.removeprefix(agent)}" for text in overrides[agent]]
        variants += make_variants(agent, [*overrides["agent"], *own, *overrides["env"]], varied, paired)
    return variants
