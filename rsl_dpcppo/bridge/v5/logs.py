# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Where RSL-RL 5.x logs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any


def log_dir(runner: Any) -> str | None:
    """Return where a runner logs, if it does."""
    return runner.logger.log_dir


def writer(runner: Any) -> Any:
    """Return what a runner logs with; None if it does not, or has not begun to."""
    return getattr(runner.logger, "writer", None)


def open_writer(runner: Any) -> None:
    """Open the logging service ahead of learn, which otherwise opens it and closes it."""
    with _without_start_method() if runner.cfg.get("logger") == "wandb" else contextlib.nullcontext():
        runner.logger.init_logging_writer()
    runner.logger.init_logging_writer = runner.logger.stop_logging_writer = _nothing  # hide the class's


def close_writer(runner: Any) -> None:
    """Close what :func:`open_writer` opened."""
    del runner.logger.init_logging_writer, runner.logger.stop_logging_writer
    runner.logger.stop_logging_writer()


def upload_model(runner: Any, path: str) -> None:
    """Hand a written checkpoint to the logging service."""
    if writer(runner) is not None:
        runner.logger.save_model(path, runner.current_learning_iteration)


def log_owner(runner: Any) -> Any:
    """Return the object whose method ``log`` learn calls after each iteration."""
    return runner.logger


def returns(runner: Any, arguments: tuple[Any, ...]) -> Sequence[float]:
    """Return the last episodes' returns, given the arguments of ``log``."""
    return runner.logger.rewbuffer


@contextlib.contextmanager
def _without_start_method() -> Iterator[None]:
    """Keep from W&B the setting ``start_method``, which 5.0 to 5.4 make, and which W&B no longer takes."""
    import wandb

    settings = wandb.Settings
    wandb.Settings = lambda start_method="", **others: settings(**others)
    try:
        yield
    finally:
        wandb.Settings = settings


def _nothing() -> None:
    """Leave the service open."""
