# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The type checker holds both RSL-RL generations to what the learners and the package ask of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="comes with the extra dev")

ROOT = Path(__file__).parents[2]


def check_types(*arguments: str) -> str:
    """Return what mypy finds in the bridge."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *arguments, "rsl_dpcppo/bridge"]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True).stdout


@pytest.mark.slow
def test_the_bridge_fulfils_the_contract() -> None:
    assert check_types() == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "member", "broken"),
    [
        ("v3/host.py", "def networks(self)", "def all_networks(self)"),
        ("v5/host.py", "def kernel_std(self)", "def std(self)"),
        ("v5/host.py", "def values(self, batch: MiniBatch)", "def values(self)"),
        ("v3/host.py", '-> Symmetry | None:\n        """Return the user', '-> int:\n        """Return the user'),
        ("host.py", "def average_gradients(self)", "def reduce_gradients(self)"),
        ("v3/logs.py", "def upload_model(runner: Any, path: str)", "def upload_model(runner: Any)"),
        ("v5/agent.py", "MODEL_SECTION =", "SECTION ="),
    ],
)
def test_a_broken_member_is_found(file: str, member: str, broken: str, tmp_path: Path) -> None:
    """Missing, with other arguments, or of another type."""
    path = Path("rsl_dpcppo/bridge") / file
    text = (ROOT / path).read_text()
    assert text.count(member) == 1
    (tmp_path / "broken.py").write_text(text.replace(member, broken))
    assert "error:" in check_types("--shadow-file", str(path), str(tmp_path / "broken.py"))
