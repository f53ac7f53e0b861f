# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""--distributed: a training on several GPUs, one process each, as in Isaac Lab."""

from __future__ import annotations

import torch

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.learning.ranks import Place, place


def find_place(distributed: bool) -> Place:
    """Return this process's place in its training.

    Args:
        distributed: Whether --distributed is given.

    Raises:
        ConfigError: If torchrun has started this process without --distributed, or has not started it and it is given.
    """
    here = place()
    if distributed and here is None:
        raise ConfigError(
            "--distributed is given, and RANK, LOCAL_RANK and WORLD_SIZE, which torchrun sets, are not: "
            "torchrun --nproc_per_node N scripts/train.py --distributed"
        )
    if not distributed and here is not None and here.world_size > 1:
        raise ConfigError(f"WORLD_SIZE is {here.world_size}, so this is one process of several: add --distributed.")
    return here or Place()


def device_of(here: Place, device: str) -> str:
    """Return the device of a process: its own GPU, or the CPU that it shares with others.

    Args:
        here: Its place.
        device: What --device says. Which GPU it names does not matter where there are several processes.

    Raises:
        ConfigError: If this machine has fewer GPUs than processes.
    """
    if here.world_size == 1 or torch.device(device).type != "cuda":
        return device
    if here.local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"LOCAL_RANK is {here.local_rank}, and this machine has {torch.cuda.device_count()} GPUs: "
            "torchrun's --nproc_per_node must be at most that."
        )
    return f"cuda:{here.local_rank}"
