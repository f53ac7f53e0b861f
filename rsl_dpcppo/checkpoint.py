# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoint files: written whole or not at all, read without running code from them, found by Isaac Lab's rules."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch

from rsl_dpcppo.errors import CheckpointError


def write_checkpoint(checkpoint: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint beside its destination and move it there, so that a killed run leaves no half file."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_checkpoint(path: str | os.PathLike[str], map_location: str | None = None) -> dict[str, Any]:
    """Read a checkpoint of RSL-RL, refusing files that would execute code.

    Raises:
        CheckpointError: If the file is missing, damaged, unsafe, or no checkpoint of RSL-RL.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint '{path}'.")
    try:
        checkpoint = torch.load(path, weights_only=True, map_location=map_location)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"'{path}' is not loaded: it is no checkpoint, or it holds more than tensors and plain values, and so "
            "could run code."
        ) from None
    except Exception as error:  # a damaged file can fail anywhere in torch's reader
        raise CheckpointError(
            f"'{path}' is damaged or incomplete; take an earlier checkpoint. ({error!r:.200})"
        ) from None
    if not isinstance(checkpoint, dict) or "iter" not in checkpoint or "optimizer_state_dict" not in checkpoint:
        raise CheckpointError(f"'{path}' is not a checkpoint of RSL-RL: it lacks 'iter' and 'optimizer_state_dict'.")
    return checkpoint


def find_checkpoint(log_root: str | os.PathLike[str], load_run: str = ".*", checkpoint: str = r"model_.*\.pt") -> Path:
    """Return the newest checkpoint of the newest run whose names match, as Isaac Lab does.

    Args:
        log_root: Folder of the experiment's runs.
        load_run: Regular expression of the run's folder; runs sort by name, which begins with date and time.
        checkpoint: Regular expression of the file, with or without its suffix; files sort by iteration.

    Raises:
        CheckpointError: If nothing matches; the message lists what is there.
    """
    for pattern in (load_run, checkpoint):
        try:
            re.compile(pattern)
        except re.error as error:
            raise CheckpointError(f"'{pattern}' is not a regular expression: {error}.") from None
    log_root = Path(log_root)
    runs = sorted(entry.name for entry in log_root.iterdir() if entry.is_dir()) if log_root.is_dir() else []
    matching = [run for run in runs if re.match(load_run, run)]
    if not matching:
        raise CheckpointError(f"No run in '{log_root}' matches '{load_run}'. Runs there: {', '.join(runs) or 'none'}.")
    for run in reversed(matching):
        files = [entry.name for entry in (log_root / run).iterdir() if entry.is_file()]
        files = [name for name in files if re.fullmatch(checkpoint, name) or re.fullmatch(rf"{checkpoint}\.pt", name)]
        if files:
            return log_root / run / max(files, key=_iteration)
    raise CheckpointError(
        f"No file in the matching runs of '{log_root}' matches '{checkpoint}': {', '.join(matching)}."
    )


def _iteration(name: str) -> tuple[int, str]:
    digits = re.search(r"(\d+)", name)
    return (int(digits.group()) if digits else -1, name)
