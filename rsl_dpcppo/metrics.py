# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What is measured of a policy and of a run, beside losses and returns."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor


def energy_distance(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean energy distance between two sets of samples per state: 2 E|X-Y| - E|X-X'| - E|Y-Y'|.

    The estimate has no bias, so for equal distributions it scatters around zero.

    Args:
        first: Samples X. Shape: [num_states, num_samples, num_actions].
        second: Samples Y. Shape: [num_states, num_samples, num_actions].

    Returns:
        Distance, averaged over the states, in actions. Shape: [].
    """
    pairs_within = first.shape[1] * (first.shape[1] - 1)
    across = _distances(first, second).mean(dim=(1, 2))
    within_first = _distances(first, first).sum(dim=(1, 2)) / pairs_within
    within_second = _distances(second, second).sum(dim=(1, 2)) / pairs_within
    return (2.0 * across - within_first - within_second).mean()


def _distances(first: Tensor, second: Tensor) -> Tensor:
    # The default goes through a matrix product, which makes the distance of a sample to itself more than zero.
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def share_entropy(shares: Tensor) -> Tensor:
    """Return the entropy of a policy's modes: 0 if it has one, log(num_modes) if it takes all of them equally often.

    Args:
        shares: How often each mode is taken; need not add up to one. Shape: [num_modes].

    Returns:
        Entropy of the shares among themselves, in nats; 0 where all are zero. Shape: [].
    """
    shares = shares / shares.sum().clamp(min=1e-6)
    return -torch.special.xlogy(shares, shares).sum()


def peak_memory(device: str) -> float | None:
    """Return the most memory in use so far in MiB: torch's on a GPU, else the process's resident size.

    None where the system does not tell the resident size; Linux does.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    # Not what getrusage says: there a process starts from the peak of the one that started it.
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) / 2**10 if found else None
