# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""One thread for every test: the networks are tiny, and results do not depend on the number of cores."""

import contextlib
import functools

import pytest
import torch

torch.set_num_threads(1)

# Nearly half of an export to ONNX is reading what torch's operators are in ONNX, which is the same every time. Where a
# release of torch keeps it elsewhere, tests only take longer.
with contextlib.suppress(ImportError, AttributeError):
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures of reports, which take longer than the small trainings that they are about."""
    from rsl_dpcppo.tasks.embedded import multi_goal_report

    monkeypatch.setattr(multi_goal_report, "draw", lambda *_, **__: None)
