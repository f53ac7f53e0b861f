# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoint files: written whole or not at all, read without running code from them, found by Isaac Lab's rules."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from rsl_dpcppo.errors import CheckpointError, MissingCheckpointError

WEIGHTS = ("model_state_dict", "actor_state_dict", "critic_state_dict", "rnd_state_dict")
"""Sections that hold weights."""

MOST_ITERATIONS = 10**9
"""More than any run has."""


def write_checkpoint(checkpoint: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint beside its destination and move it there, so that a killed run leaves no half file."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's writer hides what the system said
                raise OSError(f"'{path}' could not be written whole. Is the disk full? ({error!s:.100})") from None
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: str | os.PathLike[str]) -> None:
    """Remove what writers that were killed have left in a folder of runs."""
    for path in Path(folder).glob("*/.model_*.pt.*"):
        process = path.name.rpartition(".")[2]
        if process.isdigit() and not _is_running(int(process)):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def read_checkpoint(path: str | os.PathLike[str], map_location: str | None = None) -> dict[str, Any]:
    """Read a checkpoint of RSL-RL, refusing files that would execute code.

    Raises:
        CheckpointError: If the file is missing, damaged, unsafe, or no checkpoint of RSL-RL.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingCheckpointError(f"There is no checkpoint '{path}'.")
    _check_archive(path)
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
    _check_contents(checkpoint, path)
    return {"infos": None, **checkpoint}


def _check_archive(path: Path) -> None:
    """Compare the file with its own checksums, which PyTorch writes and does not read."""
    try:
        if not zipfile.is_zipfile(path):
            return  # an old format, which torch knows, or no checkpoint, which it says
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        damaged = repr(error)
    if damaged is not None:
        raise CheckpointError(f"'{path}' is damaged; take an earlier checkpoint. (checksum of {damaged:.200})")


def _check_contents(checkpoint: dict[str, Any], path: Path) -> None:
    """Check what every part of a checkpoint has to be, whoever reads it."""
    iteration = checkpoint["iter"]
    if isinstance(iteration, bool) or not isinstance(iteration, int) or not 0 <= iteration < MOST_ITERATIONS:
        raise CheckpointError(f"'{path}' says iteration {iteration!r}; it must be a whole number from 0.")
    for section, state in checkpoint.items():
        if not section.endswith("_state_dict"):
            continue
        if not isinstance(state, dict):
            raise CheckpointError(f"'{path}' holds {type(state).__name__} as {section}; it must be a dictionary.")
    if name := not_finite(checkpoint):
        raise CheckpointError(f"'{path}' holds values in {name}, that are not finite numbers.")


def not_finite(checkpoint: dict[str, Any]) -> str:
    """Return where a checkpoint's weights or statistics are not finite numbers; "" if they all are."""
    for section in WEIGHTS:
        for name, weight in checkpoint.get(section, {}).items():
            is_plain = isinstance(weight, torch.Tensor) and weight.layout is torch.strided
            if not is_plain or not weight.isfinite().all():
                return f"{section}, '{name}'"
    return ""


def check_types(saved: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> None:
    """Compare the types of saved weights with those of the networks that load them, which PyTorch would convert.

    Raises:
        CheckpointError: Names the first weight of another type.
    """
    for name, weight in saved.items():
        if name in own and weight.dtype != own[name].dtype:
            raise CheckpointError(f"The checkpoint's '{name}' is of type {weight.dtype}; it must be {own[name].dtype}.")


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
        raise MissingCheckpointError(
            f"No run in '{log_root}' matches '{load_run}'. Runs there: {', '.join(runs) or 'none'}."
        )
    for run in reversed(matching):
        files = [entry.name for entry in (log_root / run).iterdir() if entry.is_file()]
        files = [name for name in files if re.fullmatch(checkpoint, name) or re.fullmatch(rf"{checkpoint}\.pt", name)]
        if files:
            return log_root / run / max(files, key=_iteration)
    raise MissingCheckpointError(
        f"No file in the matching runs of '{log_root}' matches '{checkpoint}': {', '.join(matching)}."
    )


def _iteration(name: str) -> tuple[int, str]:
    digits = re.search(r"(\d+)", name)
    return (int(digits.group()) if digits else -1, name)
