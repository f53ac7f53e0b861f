# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Where RSL-RL 3.x logs: by itself before 3.2, then with a logger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def log_dir(runner: Any) -> str | None:
    """Return where a runner logs, if it does."""
    return log_owner(runner).log_dir


def writer(runner: Any) -> Any:
    """Return what a runner logs with; None if it does not."""
    return log_owner(runner).writer


def open_writer(runner: Any) -> None:
    """Open the logging service ahead of learn, which does not do so twice; from 3.2 on it is open already."""
    if not hasattr(runner, "logger"):
        runner._prepare_logging_writer()


def close_writer(runner: Any) -> None:
    """Close the logging service, which RSL-RL leaves to the end of the process."""
    if hasattr(writer(runner), "stop"):
        writer(runner).stop()


def upload_model(runner: Any, path: str) -> None:
    """Hand a written checkpoint to the logging service."""
    if hasattr(runner, "logger"):
        runner.logger.save_model(path, runner.current_learning_iteration)
    elif getattr(runner, "logger_type", None) in ("neptune", "wandb"):  # which a runner has once it has begun to log
        runner.writer.save_model(path, runner.current_learning_iteration)


def log_owner(runner: Any) -> Any:
    """Return the object whose method ``log`` learn calls after each iteration."""
    return getattr(runner, "logger", runner)


def returns(runner: Any, arguments: tuple[Any, ...]) -> Sequence[float]:
    """Return the last episodes' returns, given the arguments of ``log``: before 3.2 all that learn knows."""
    return runner.logger.rewbuffer if hasattr(runner, "logger") else arguments[0]["rewbuffer"]
