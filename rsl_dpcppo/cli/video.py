# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Videos of a policy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.task import Film


class Camera:
    """Films a policy every so many steps of an environment while it is trained, as Isaac Lab's script does.

    An environment of its own is filmed, so that the training is what it is without.
    """

    def __init__(self, film: Callable[[], Film], folder: Path, interval: int, steps: int) -> None:
        """Film the policy as it is before the training.

        Args:
            film: Films it.
            folder: Where the videos go.
            interval: Steps from one video to the next.
            steps: Steps of an iteration.

        Raises:
            ConfigError: If this task, or this machine, has no pictures.
        """
        self._film, self._folder, self._interval, self._steps = film, folder, interval, steps
        folder.mkdir(parents=True, exist_ok=True)
        self._write(0)

    def __call__(self, iteration: int) -> None:
        """Film after an iteration, if a video is due: a training does not end because one fails."""
        step = (iteration + 1) * self._steps
        due = step // self._interval * self._interval
        if due > step - self._steps:
            try:
                self._write(due)
            except ConfigError as error:
                print(f"[WARNING] No video: {error}")

    def _write(self, step: int) -> None:
        write_video(self._film(), self._folder / f"rl-video-step-{step}.mp4")


def write_video(film: Film, path: Path) -> None:
    """Write frames as an MP4 file.

    Raises:
        ConfigError: If the encoder is not installed; the message says what to install.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        raise ConfigError(
            "imageio-ffmpeg is not installed; it comes with the extras of the hosts that can be filmed."
        ) from None
    frames, rate = film
    height, width, _ = frames[0].shape
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=rate, quality=8, ffmpeg_log_level="error")
    with warnings.catch_warnings():
        # JAX warns of a fork; this one only starts the encoder's process.
        warnings.filterwarnings("ignore", message=".*os.fork", category=RuntimeWarning)
        writer.send(None)
    for frame in frames:
        writer.send(frame.tobytes())
    writer.close()
