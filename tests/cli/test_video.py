# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Videos."""

from pathlib import Path

import numpy as np
import pytest

from rsl_dpcppo.cli.video import write_video

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")


def test_video_has_the_frames(tmp_path: Path) -> None:
    """Read back: size, rate, number of frames, and the brightness of each."""
    levels = [20, 120, 220, 60, 160]
    write_video(([np.full((48, 64, 3), level, np.uint8) for level in levels], 25.0), tmp_path / "a.mp4")
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    about = next(reader)
    assert about["size"] == (64, 48)
    assert about["fps"] == 25.0
    means = [np.frombuffer(frame, np.uint8).mean() for frame in reader]
    np.testing.assert_allclose(means, levels, atol=4)
