# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What is measured while training, beside the losses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

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


class Stopwatch:
    """Adds up the time of named phases without waiting for the device.

    On CUDA it records events and asks for the times only when they are read, once an iteration.
    """

    def __init__(self, device: torch.device) -> None:
        """Start with no phases, on a device."""
        self._cuda = device.type == "cuda"
        self._seconds: dict[str, float] = {}
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside the ``with`` block, under a name."""
        if self._cuda:
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            yield
            end.record()
            self._events.append((name, start, end))
        else:
            began = time.perf_counter()
            yield
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - began

    def read(self) -> dict[str, float]:
        """Return the seconds of each phase since the last reading, and start again."""
        for name, start, end in self._events:
            end.synchronize()
            self._seconds[name] = self._seconds.get(name, 0.0) + start.elapsed_time(end) / 1000.0
        seconds, self._seconds, self._events = self._seconds, {}, []
        return seconds
