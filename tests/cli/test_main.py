# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The command ``rsl-dpcppo``, and the scripts that do the same."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.compat.tensorflow_stub.io import gfile
from torch.utils.tensorboard import SummaryWriter

from rsl_dpcppo.cli import dispatch, main
from rsl_dpcppo.errors import LaunchError

ROOT = Path(__file__).parents[2]


def test_the_command_is_installed() -> None:
    (entry_point,) = entry_points(group="console_scripts", name="rsl-dpcppo")
    assert entry_point.load() is main.main


@pytest.mark.parametrize("command", dispatch.COMMANDS)
def test_every_command_has_a_function_and_a_script(command: str) -> None:
    name = command.replace("-", "_")
    assert callable(getattr(importlib.import_module(f"rsl_dpcppo.cli.{name}"), name))
    assert f'run("{command}")' in (ROOT / "scripts" / f"{name}.py").read_text()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, str, str]]:
    """Return a function that runs the command, and returns its status and what it printed and said of errors."""

    def start(*arguments: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["rsl-dpcppo", *arguments])
        with pytest.raises(SystemExit) as end:
            main.main()
        return end.value.code, *capsys.readouterr()

    return start


def test_help_lists_the_commands(start: Callable[..., tuple[Any, str, str]]) -> None:
    _, printed, _ = start("--help")
    assert all(command in printed for command in dispatch.COMMANDS)
    assert "usage: rsl-dpcppo train" in start("train", "--help")[1]


def test_mistakes_end_with_one_line_and_a_status(start: Callable[..., tuple[Any, str, str]]) -> None:
    status, _, error = start("trian")
    assert status == 2
    assert "invalid choice: 'trian'" in error
    status, _, error = start("train", "--task=MultiGol-v0")
    assert status == 2
    assert error.startswith("Error: There is no task 'MultiGol-v0'. Did you mean 'MultiGoal-v0'?")
    assert len(error.splitlines()) == 1


def test_an_interrupt_while_importing_is_one_line() -> None:
    """Python itself has to be interrupted before ours is there to say so in one line."""
    program = """if True:
        import sys
        from rsl_dpcppo.cli import main

        assert not {"argparse", "typing", "importlib.util", "importlib.metadata"} & sys.modules.keys()

        class Interrupting:
            def find_spec(self, name, path, target=None):
                if name == "argparse":
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, Interrupting())
        main.main()
    """
    # Without site: what it imports for other packages is not ours.
    done = subprocess.run([sys.executable, "-S", "-c", program], text=True, capture_output=True, cwd=ROOT)
    assert done.stderr == "\nInterrupted. Continue from the last checkpoint with --resume.\n"
    assert done.returncode == 130


def test_a_disk_that_fails_under_tensorboard_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own thread writes, and prints a traceback; the error comes again where something is logged next."""
    shown: list[threading.ExceptHookArgs] = []

    def log(arguments: list[str]) -> None:
        before = threading.enumerate()
        writer = SummaryWriter(str(tmp_path))
        (thread,) = (each for each in threading.enumerate() if each not in before)
        monkeypatch.setattr(gfile.LocalFileSystem, "append", full)
        for i in range(2):
            writer.add_scalar("Loss/value", 1.0, i)
            writer.flush()
            thread.join(timeout=30)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(threading, "excepthook", shown.append)
    monkeypatch.setattr(dispatch, "import_module", lambda name: SimpleNamespace(train=log, PARSERS={}))
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert main.run("train") == 1
    assert capsys.readouterr().err == "Error: [Errno 28] No space left on device\n"
    assert not shown
    assert threading.excepthook == shown.append


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    command = f"{sys.executable} -m rsl_dpcppo.cli list-tasks | head -n 1"
    assert subprocess.run(command, shell=True, text=True, capture_output=True, cwd=ROOT).stderr == ""


def test_a_host_that_launches_itself_is_asked_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [launcher.__name__ for launcher in dispatch.find_launchers()] == ["isaaclab_tasks_cfg.launch"]
    seen = []

    class Launcher:
        @staticmethod
        def launches(arguments: list[str]) -> bool:
            return "--task=Other-v0" in arguments

        @staticmethod
        def run(command: str, arguments: list[str]) -> None:
            seen.append((command, arguments))
            raise LaunchError("no simulator")

    monkeypatch.setattr(dispatch, "find_launchers", lambda: [Launcher])
    monkeypatch.setattr(sys, "argv", ["play.py", "--task=Other-v0", "--num_envs=3"])
    assert main.run("play") == 1
    assert seen == [("play", ["--task=Other-v0", "--num_envs=3"])]
    assert capsys.readouterr().err == "Error: no simulator\n"
