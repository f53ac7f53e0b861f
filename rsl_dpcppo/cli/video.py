# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Videos of a policy."""

from __future__ import annotations

import warnings
from pathlib import Path

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.task import Film


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
