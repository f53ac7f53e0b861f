# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a training shows, and that TensorBoard gets all of it whatever is shown."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rsl_dpcppo.bridge.logs import Iteration
from rsl_dpcppo.cli.console import console
from rsl_dpcppo.cli.train import train

TINY = [
    "--task=TwoModes-v0",
    "--agent=ppo",
    "--num_envs=8",
    "--max_iterations=3",
    "agent.num_steps_per_env=2",
    "agent.actor.hidden_dims=[8]",
    "agent.critic.hidden_dims=[8]",
]
TABLE = "Time elapsed:"


def iterations() -> list[Iteration]:
    return [Iteration(5 + i, 8, reward, "a table") for i, reward in enumerate((None, 1.25, 2.5))]


def test_a_file_gets_a_line_an_iteration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train(TINY)
    printed = capsys.readouterr().out
    lines = re.findall(r"^Learning iteration (\d)/3  mean reward \S+  \S+ s each  ETA \S+$", printed, re.M)
    assert lines == ["0", "1", "2"]
    assert TABLE not in printed
    (run,) = tmp_path.glob("logs/rsl_rl/*/*")
    events = EventAccumulator(str(run)).Reload()
    for tag in ("Loss/learning_rate", "Perf/total_fps", "Train/mean_reward"):
        assert [event.step for event in events.Scalars(tag)] == [0, 1, 2]


def test_verbose_is_rsl_rls_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train([*TINY, "--verbose"])
    assert capsys.readouterr().out.count(TABLE) == 3


def test_a_line_has_no_reward_before_an_episode_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with console(verbose=False) as show:
        for iteration in iterations():
            show(iteration)
    first, _, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Learning iteration 5/8  mean reward -  ")
    assert "mean reward 2.50" in last
    assert last.endswith("ETA 0:00:00")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("rich._console", None, raising=False)  # rich keeps the first stdout that it met
    with console(verbose=False) as show:
        for iteration in iterations():
            show(iteration)
    shown = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", terminal.getvalue())
    assert "8/8" in shown
    assert "mean reward 2.50" in shown
    assert "ETA" in shown
    assert "a table" not in shown
