# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a comparison reads of a training's output is what the training writes there."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rsl_dpcppo.bridge.logs import Iteration
from rsl_dpcppo.cli.compare.output import last_iteration, last_line, num_iterations, read_returns
from rsl_dpcppo.cli.console import console


def test_no_output_says_nothing(tmp_path: Path) -> None:
    log = tmp_path / "none.log"
    assert (last_iteration(log), num_iterations(log), read_returns(log), last_line(log)) == ("", 0, {}, "")


def test_the_lines_of_a_training_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second iteration is made twice: a training that was killed goes on from its last checkpoint."""
    log = tmp_path / "seed1.log"
    with console(verbose=False) as show:
        for number, reward in ((0, None), (1, -0.0012), (2, 5.0), (1, 2.5)):
            show(Iteration(number, 30, reward, ""))
    log.write_text(capsys.readouterr().out)
    assert (last_iteration(log), num_iterations(log)) == ("1/30", 2)
    returns = read_returns(log)
    assert math.isnan(returns.pop(1))
    assert returns == {2: 2.5, 3: 5.0}


def test_a_line_that_is_being_written_has_no_return_yet(tmp_path: Path) -> None:
    log = tmp_path / "seed1.log"
    for more in ("", "  mean", "  mean reward 1"):
        log.write_text(f"Learning iteration 6/9  mean reward 3.00  1.00 s each\nLearning iteration 7/9{more}")
        assert read_returns(log) == {7: 3.0}


def test_the_end_of_a_long_output_is_enough(tmp_path: Path) -> None:
    log = tmp_path / "seed1.log"
    log.write_text("x\n" * 20_000 + "\x1b[1m Learning iteration 8/9 \x1b[0m\n" + "Loss: 1\n" * 50 + "[INFO] Done\n")
    assert (last_iteration(log), num_iterations(log), last_line(log)) == ("8/9", 9, "[INFO] Done")
