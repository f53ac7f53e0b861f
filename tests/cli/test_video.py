# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Videos."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsl_dpcppo.cli import video
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.cli.video import write_video
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.embedded import tasks
from rsl_dpcppo.tasks.embedded.two_modes import TwoModesCfg, TwoModesEnv
from rsl_dpcppo.tasks.task import Film, Policy

TINY = [
    "--task=TwoModes-v0",
    "--num_envs=8",
    "--max_iterations=4",
    "agent.num_steps_per_env=3",
    "agent.algorithm.flow_num_epochs=2",
    "agent.actor.hidden_dims=[8]",
    "agent.actor.flow_hidden_dims=[8]",
    "agent.actor.obs_normalization=True",
    "agent.critic.hidden_dims=[8]",
]


@pytest.fixture
def filmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give TwoModes a film, whose numbers of steps are returned; a video is an empty file."""
    monkeypatch.chdir(tmp_path)
    lengths: list[int] = []

    def film(cfg: TwoModesCfg, policy: Policy, num_steps: int, device: str, seed: int) -> Film:
        env = TwoModesEnv(cfg, 1, device)
        for _ in range(num_steps):
            env.step(policy(env.get_observations()))
        lengths.append(num_steps)
        return [], 1.0

    def find() -> Any:
        return dataclasses.replace(tasks.two_modes(), film=film)

    monkeypatch.setitem(tasks.TASKS, "TwoModes-v0", find)
    monkeypatch.setattr(video, "write_video", lambda _, path: path.write_bytes(b""))
    return lengths


def test_a_training_that_is_filmed_is_the_one_that_is_not(filmed: list[int]) -> None:
    """Videos come every so many steps, before the first one as well, and the policies end alike."""
    train([*TINY, "--run_name=seen", "--video", "--video_length=5", "--video_interval=4"])
    train([*TINY, "--run_name=unseen"])
    seen, unseen = (next(Path("logs/rsl_rl/two_modes").glob(f"*_{name}")) for name in ("seen", "unseen"))
    names = {path.name for path in (seen / "videos/train").iterdir()}
    assert names == {f"rl-video-step-{step}.mp4" for step in (0, 4, 8, 12)}
    assert filmed == [5] * 4
    assert not (unseen / "videos").exists()
    for section, weights in torch.load(unseen / "model_3.pt", weights_only=True).items():
        if section.endswith("state_dict") and "env" not in section and "optimizer" not in section:
            other = torch.load(seen / "model_3.pt", weights_only=True)[section]
            assert all(torch.equal(other[name], value) for name, value in weights.items()), section


def test_no_pictures_at_the_start_is_refused_and_later_is_a_warning(
    filmed: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Film, path: Path) -> None:
        if path.name != works:
            raise ConfigError("no graphics")

    monkeypatch.setattr(video, "write_video", fail)
    works = "none"
    with pytest.raises(ConfigError, match="no graphics"):
        train([*TINY, "--video", "--video_interval=3"])
    assert not list(Path("logs/rsl_rl/two_modes").iterdir())
    works = "rl-video-step-0.mp4"
    train([*TINY, "--video", "--video_interval=3"])
    assert capsys.readouterr().out.count("[WARNING] No video: no graphics") == 4


def test_video_has_the_frames(tmp_path: Path) -> None:
    """Read back: size, rate, number of frames, and the brightness of each."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    levels = [20, 120, 220, 60, 160]
    write_video(([np.full((48, 64, 3), level, np.uint8) for level in levels], 25.0), tmp_path / "a.mp4")
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    about = next(reader)
    assert about["size"] == (64, 48)
    assert about["fps"] == 25.0
    means = [np.frombuffer(frame, np.uint8).mean() for frame in reader]
    np.testing.assert_allclose(means, levels, atol=4)
