# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Command lines: what is wrong in them is found before torch is imported, and --help says what a flag's default is."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rsl_dpcppo.cli.fields import describe, docstrings
from rsl_dpcppo.cli.parsers import PARSERS, parse_train
from rsl_dpcppo.cli.run_cfg import load_config, save_agent
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.config import PPORunnerCfg
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.registry import find_task

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("command", "argument", "message"),
    [
        ("train", "--task=MultiGol-v0", "Did you mean 'MultiGoal-v0'?"),
        ("play", "--agent=dpcpo", "Did you mean 'dpcppo'?"),
        ("export", "--chekpoint=x", "Did you mean '--checkpoint'?"),
        ("compare", "--agents=ppo,genpoo", "Did you mean 'genpo'?"),
        ("train", "--video", "'MultiGoal-v0' has no pictures to film"),
        ("train", "--task=Gym-Pendulum-v2", "Gymnasium has no environment 'Pendulum-v2'."),
    ],
)
def test_wrong_names_end_before_torch_is_imported(command: str, argument: str, message: str) -> None:
    if "Gym-" in argument and importlib.util.find_spec("gymnasium") is None:
        pytest.skip("needs Gymnasium")
    program = (
        "import sys; from rsl_dpcppo.cli.main import run; "
        f"sys.argv = ['', {argument!r}]; assert run({command!r}) == 2; assert 'torch' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def help_of(command: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        PARSERS[command]([*arguments, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_help_has_the_defaults_of_the_agent_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    printed = help_of("train", ["--task=TwoModes-v0", "--agent=ppo"], capsys)
    for text in ("environment (default: 42", "environments (default: 1024)", "(default: 60)", "(default: tensorboard)"):
        assert text in printed
    agents = ", ".join(find_task("TwoModes-v0").agents)
    assert "--headless for Isaac Lab's commands: no window opens here" in printed
    assert f"name of the agent: {agents} (default: dpcppo)" in printed
    assert "(default: 512)" in help_of("train", [], capsys)


@pytest.mark.parametrize("command", PARSERS)
def test_no_help_leaves_anything_open(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "..." not in help_of(command, [], capsys)


def test_every_field_is_listed_with_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    train(["--fields", "--agent=dpcppo_fold", "agent.algorithm.fold_interval=7"])
    printed = capsys.readouterr().out
    assert "agent.algorithm.fold_interval=7\n    " in printed
    assert "env.closed=[]\n    Goals that are not there" in printed
    fields = re.findall(r"^(?:agent|env)\.\S+=", printed, re.M)
    assert len(fields) > 40
    assert printed.count("\n    ") >= len(fields)  # none without a word


def test_a_field_that_is_inherited_keeps_its_docstring() -> None:
    cfg = find_task("MultiGoal-v0").make_agent("dpcppo")
    assert docstrings(type(cfg.algorithm))["clip_param"].startswith("Clip range")
    assert "agent.seed=42\n    Seed of the networks" in describe(cfg, "agent")


def test_a_saved_agent_is_trained_again(tmp_path: Path) -> None:
    cfg = find_task("MultiGoal-v0").make_agent("genpo")
    cfg.algorithm.gamma = 0.5
    save_agent(cfg, tmp_path)
    path = tmp_path / "params/agent.yaml"
    args, _ = parse_train([f"--config={path}"])
    assert args.agent == "genpo"
    assert load_config(path, find_task("MultiGoal-v0").make_agent("genpo"), "genpo") == cfg
    with pytest.raises(ConfigError, match="holds the agent 'genpo', and --agent is 'ppo'"):
        load_config(path, PPORunnerCfg(), "ppo")


def test_some_fields_in_a_file_change_the_preset(tmp_path: Path) -> None:
    path, preset = tmp_path / "agent.yaml", find_task("MultiGoal-v0").make_agent("dpcppo_modes")
    path.write_text("num_envs: 8\nactor: {hidden_dims: [16]}\n")
    cfg = load_config(path, preset, "dpcppo_modes")
    assert (cfg.num_envs, cfg.actor.hidden_dims) == (8, [16])
    assert (cfg.critic, cfg.algorithm) == (preset.critic, preset.algorithm)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("algorithm: {gama: 0.5}", "no field 'gama' in agent.algorithm. Did you mean 'gamma'?"),
        ("algorithm: {gamma: 2.0}", "gamma is 2.0"),
        ("algorithm: {class_name: Nope}", "names the algorithm Nope"),
        ("- 1", "has no fields"),
        ("a: [", "does not hold an agent"),
    ],
)
def test_a_wrong_file_is_explained(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("agent.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        train(["--config=agent.yaml"])
    assert not Path("logs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=a.yaml"], "'a.yaml' is no file"),
        (["--config=a", "--resume", "--agent=ppo"], "is for a new run"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(arguments)
