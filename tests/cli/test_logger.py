# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The services that --logger names: W&B offline, Neptune with a stand-in for its client."""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imsave
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rsl_dpcppo.bridge.logs import upload_figures
from rsl_dpcppo.cli.logger import check_logger
from rsl_dpcppo.cli.main import run
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.errors import ConfigError

TINY = [
    "--task=TwoModes-v0",
    "--agent=ppo",
    "--num_envs=8",
    "--max_iterations=2",
    "agent.num_steps_per_env=2",
    "agent.actor.hidden_dims=[8]",
    "agent.critic.hidden_dims=[8]",
]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_folders() -> list[Path]:
    return list(Path("logs/rsl_rl").glob("*/*"))


class Series:
    """What Neptune's client returns for a name."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.files: list[str] = []

    def log(self, value: Any, step: int | None = None) -> None:
        self.values.append(value)

    def upload(self, path: str) -> None:
        assert Path(path).is_file()
        self.files.append(path)


class NeptuneRun(defaultdict):  # type: ignore[type-arg]
    def __init__(self) -> None:
        super().__init__(Series)
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def neptune(monkeypatch: pytest.MonkeyPatch) -> NeptuneRun:
    """Put a stand-in in the place of Neptune's client, wherever RSL-RL keeps it."""
    run, module = NeptuneRun(), ModuleType("neptune")
    module.__spec__ = ModuleSpec("neptune", None, origin="a stand-in")
    module.init_run = lambda project, api_token: run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "neptune", module)
    for name in ("neptune_log_writer", "neptune_utils"):
        try:
            writer = importlib.import_module(f"rsl_rl.utils.{name}")
        except ModuleNotFoundError:
            continue
        monkeypatch.setattr(writer, "neptune", module)
    for name in ("NEPTUNE_API_TOKEN", "NEPTUNE_USERNAME"):
        monkeypatch.setenv(name, "mine")
    return run


def test_neptune_gets_numbers_configurations_and_pictures(neptune: NeptuneRun) -> None:
    train(["--logger=neptune", "--task=MultiGoal-v0", *TINY[1:]])
    assert len(neptune["Loss/learning_rate"].values) == 2
    assert "num_envs" in str(neptune["env_cfg"])
    assert neptune["git_diff/multimodality"].files
    assert neptune.stopped
    (run,) = run_folders()
    events = EventAccumulator(str(run), size_guidance={"images": 0}).Reload()
    assert events.Tags()["images"] == ["Report/multimodality"]
    assert "Train/mean_reward" in events.Tags()["scalars"]


def test_neptune_without_an_account_is_one_line(
    neptune: NeptuneRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NEPTUNE_USERNAME")
    monkeypatch.setattr(sys, "argv", ["train.py", "--logger=neptune", *TINY])
    assert run("train") == 2
    assert capsys.readouterr().err == (
        "Error: logger is 'neptune', which needs the environment variable NEPTUNE_USERNAME.\n"
    )
    assert not run_folders()


def test_a_service_that_refuses_leaves_no_run(
    neptune: NeptuneRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = type("Unauthorized", (Exception,), {"__module__": "neptune.exceptions"})

    def refuse(**_: str) -> None:
        raise refusal("the token is wrong.\nMore of this.")

    monkeypatch.setattr(sys.modules["neptune"], "init_run", refuse)
    monkeypatch.setattr(sys, "argv", ["train.py", "--logger=neptune", *TINY])
    assert run("train") == 2
    assert capsys.readouterr().err == "Error: logger is 'neptune', and the token is wrong.\n"
    assert not run_folders()


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ((), {"add_image": ["Report/a"]}),
        (("save_file",), {"add_image": ["Report/a"], "save_file": ["a.png", "b.mp4"]}),
        (("save_file", "save_video"), {"add_image": ["Report/a"], "save_file": ["a.png"], "save_video": ["b.mp4"]}),
    ],
)
def test_figures_go_the_ways_that_a_writer_has(
    ways: tuple[str, ...], expected: dict[str, list[str]], tmp_path: Path
) -> None:
    """TensorBoard's writer, one of rsl-rl-lib 3.x, and W&B's of 5.x."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/b.mp4").touch()
    imsave(tmp_path / "a.png", np.zeros((2, 3, 3)))
    seen: dict[str, list[str]] = defaultdict(list)
    writer = SimpleNamespace(flush=lambda: None)
    for way in ("add_image", *ways):
        setattr(writer, way, lambda x, *_, way=way, **__: seen[way].append(x if way == "add_image" else Path(x).name))
    upload_figures(writer, tmp_path, 3)
    assert seen == expected


def test_wandb_works_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(["--logger=wandb", "--log_project_name=mine", "--task=MultiGoal-v0", *TINY[1:]])
    (service,) = Path("wandb").glob("offline-run-*")
    assert {file.name for file in (service / "files").iterdir()} >= {"multimodality.png", "model_1.pt"}


def test_a_folder_of_its_name_is_not_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B logs to one, and these tests lie in others."""
    (tmp_path / "some_logger").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("some_logger")
    with pytest.raises(ConfigError, match="logger is 'some_logger', which is not installed here"):
        check_logger("some_logger")
