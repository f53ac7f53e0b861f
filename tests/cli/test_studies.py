# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The paper's studies: each is read in both sizes, and each of its agents learns."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rsl_dpcppo.cli.compare import compare
from rsl_dpcppo.cli.compare.command import read
from rsl_dpcppo.cli.compare.isaaclab import is_of_isaaclab, isaaclab_commands
from rsl_dpcppo.cli.compare.plan import make_runs
from rsl_dpcppo.cli.compare.study import study_arguments, study_names
from rsl_dpcppo.cli.run_cfg import override
from rsl_dpcppo.cli.runs import build, make_env
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.importing import is_installed
from rsl_dpcppo.tasks.registry import find_task

FIGURES = {"entropy": 4, "score": 4, "fit_epochs": 3, "ema": 2, "regularization": 4, "true_entropy": 6, "flow_steps": 4}
TABLES = {"multimodality": 2, "cost": 3, "isaaclab": 3, "playground": 3}
"""Studies, and the number of their variants in the small size."""

TINY = ["--num_envs=8", "--seeds=1", "--iterations=1", "agent.num_steps_per_env=16"]


def test_the_studies_are_the_papers() -> None:
    assert study_names() == sorted({**FIGURES, **TABLES})


@pytest.mark.parametrize(("name", "num_variants"), {**FIGURES, **TABLES}.items())
def test_small_study_starts(name: str, num_variants: int) -> None:
    """Each of its agents does an iteration on the study's first task, and logs what the study draws."""
    args, variants = read([f"--study={name}", *TINY])
    assert (args.name, len(variants)) == (f"{name}_small", num_variants)
    module = {"Env": "envpool", "Gym": "mujoco"}.get(args.task[0][:3])
    if module and not is_installed(module):
        pytest.skip(f"{module} is not installed")
    assert len(make_runs(args.task, variants, args.name, 1, args.num_envs, args.iterations)) >= num_variants
    runs = make_runs(args.task[:1], variants, args.name, 1, args.num_envs, args.iterations)
    for run in {run.variant.agent: run for run in runs}.values():
        task = find_task(run.task)
        env_cfg = override(task.env_cfg(), [text for text in run.variant.overrides if text.startswith("env.")], "env")
        runner = build(run.cfg, make_env(task, env_cfg, run.cfg, "cpu"), "cpu", run=None)
        reports: list[dict[str, float]] = []
        update = runner.alg.update
        runner.alg.update = lambda: reports.append(update()) or reports[-1]  # noqa: B023
        runner.learn(run.cfg.max_iterations)
        runner.env.close()
        assert math.isfinite(reports[0]["surrogate"])
        assert all(math.isfinite(reports[0][metric]) for metric in args.metrics)


@pytest.mark.parametrize("name", [*FIGURES, *TABLES])
def test_study_of_the_papers_size_is_planned(name: str) -> None:
    args, variants = read([f"--study={name}", "--size=paper"])
    isaac = [task for task in args.task if is_of_isaaclab(task)]
    others = [task for task in args.task if task not in isaac]
    runs = make_runs(others, variants, args.name, args.seeds, args.num_envs, args.iterations)
    commands = isaaclab_commands(isaac, variants, args)
    assert len(runs) + len(commands) == len(args.task) * len(variants) * args.seeds
    assert all(run.cfg.num_envs * run.cfg.num_steps_per_env == 4096 * 32 for run in runs)


def test_commands_of_isaac_lab_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    compare(["--study=regularization", "--size=paper", "--seeds=1"])
    _, *commands = capsys.readouterr().out.splitlines()
    assert len(commands) == 8
    assert commands[1] == (
        "isaaclab.sh -p scripts/train.py --headless --task Isaac-Quadcopter-Direct-v0 --agent dpcppo --seed 1 "
        "--run_name regularization_paper_entropy_coef=0_score_coef=preset_seed1 agent.algorithm.entropy_coef=0.0"
    )


def test_command_line_goes_before_the_study() -> None:
    args, variants = read(["agent.algorithm.gamma=0.5", "--study=ema", "--seeds=7", "--name=mine"])
    assert (args.seeds, args.name, args.iterations) == (7, "mine", 100)
    assert variants[1].overrides == ("agent.algorithm.gamma=0.5", "agent.algorithm.flow_ema_decay=0.99")


def test_unknown_study_lists_them() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'entropy'\?(.|\n)*ema +Figure 8(.|\n)*multimodality +Table 1"):
        study_arguments("entrop", "small")


def test_own_study_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("task: [TwoModes-v0]\npaired: true\nsmall: {seeds: 2, vary: {agent.actor.hidden_dims: [[8, 8]]}}")
    arguments = study_arguments(str(path), "small")
    assert arguments == [
        "--name=mine_small",
        "--task=TwoModes-v0",
        "--seeds=2",
        "--vary=agent.actor.hidden_dims=[8, 8]",
        "--paired",
    ]
    assert read(arguments)[1][0].label == "dpcppo hidden_dims=[8,8]"
    with pytest.raises(ConfigError, match="no size 'paper'"):
        study_arguments(str(path), "paper")
    for text in ("small: {sedes: 2}", "small: {seeds: many}", "- a list", "a: [", ""):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"mine\.yaml"):
            study_arguments(str(path), "small")
