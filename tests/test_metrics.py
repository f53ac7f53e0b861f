# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the measurements."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from rsl_dpcppo.learning.clock import Stopwatch
from rsl_dpcppo.metrics import energy_distance, share_entropy

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]


def numpy_energy_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Compute 2 E|X-Y| - E|X-X'| - E|Y-Y'| pair by pair; X and X' are different samples."""
    per_state = []
    for x, y in zip(first, second, strict=True):
        n = len(x)
        across = [np.linalg.norm(x[i] - y[j]) for i in range(n) for j in range(n)]
        within_x = [np.linalg.norm(x[i] - x[j]) for i in range(n) for j in range(n) if i != j]
        within_y = [np.linalg.norm(y[i] - y[j]) for i in range(n) for j in range(n) if i != j]
        per_state.append(2.0 * np.mean(across) - np.mean(within_x) - np.mean(within_y))
    return float(np.mean(per_state))


@pytest.mark.parametrize(("num_states", "num_samples", "num_actions"), [(1, 2, 1), (3, 7, 2), (5, 16, 4)])
def test_energy_distance_is_the_mean_over_pairs(num_states: int, num_samples: int, num_actions: int) -> None:
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, num_states, num_samples, num_actions))
    distance = energy_distance(torch.from_numpy(first), torch.from_numpy(second + 0.5))
    assert distance.shape == ()
    assert distance.item() == pytest.approx(numpy_energy_distance(first, second + 0.5), rel=1e-9)


def closed_form(shift: float) -> float:
    """Return the energy distance of N(0, 1) and N(shift, 1); the difference of two samples has variance 2."""
    scale = math.sqrt(2.0)
    across = scale * math.sqrt(2.0 / math.pi) * math.exp(-(shift**2) / (2.0 * scale**2)) + shift * math.erf(
        shift / (scale * math.sqrt(2.0))
    )
    return 2.0 * across - 2.0 * (2.0 / math.sqrt(math.pi))


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0, 3.0])
def test_energy_distance_of_shifted_gaussians_has_no_bias(shift: float) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(4000, 8, 1), torch.randn(4000, 8, 1) + shift
    # Single states tell how much the mean over all of them scatters.
    groups = torch.stack([energy_distance(x, y) for x, y in zip(first.split(100), second.split(100), strict=True)])
    standard_error = groups.std().item() / math.sqrt(len(groups))
    distance = energy_distance(first, second).item()
    assert distance == pytest.approx(closed_form(shift), abs=5.0 * standard_error)
    assert standard_error < 0.025
    assert shift < 1.0 or distance > 0.3


def test_energy_distance_compares_state_by_state() -> None:
    """Two sets with equal samples overall are apart if the states are swapped."""
    torch.manual_seed(0)
    samples = torch.randn(2, 200, 1) * 0.1 + torch.tensor([-1.0, 1.0])[:, None, None]
    assert energy_distance(samples, samples.flip(0)).item() == pytest.approx(2.0 * 2.0, abs=0.5)
    again = torch.randn(2, 200, 1) * 0.1 + torch.tensor([-1.0, 1.0])[:, None, None]
    assert abs(energy_distance(samples, again).item()) < 0.02


@pytest.mark.parametrize("device", DEVICES)
def test_stopwatch_adds_up_each_phase(device: str) -> None:
    stopwatch = Stopwatch(torch.device(device))
    began = time.perf_counter()
    for _ in range(3):
        with stopwatch.phase("long"):
            time.sleep(0.02)
        with stopwatch.phase("short"):
            time.sleep(0.005)
        time.sleep(0.005)  # in no phase
    elapsed = time.perf_counter() - began

    seconds = stopwatch.read()

    assert list(seconds) == ["long", "short"]
    assert seconds["long"] >= 0.059
    assert seconds["short"] >= 0.014
    assert sum(seconds.values()) <= elapsed - 0.014


@pytest.mark.parametrize("device", DEVICES)
def test_stopwatch_starts_again_when_it_is_read(device: str) -> None:
    stopwatch = Stopwatch(torch.device(device))
    assert stopwatch.read() == {}
    with stopwatch.phase("first"):
        time.sleep(0.05)
    assert list(stopwatch.read()) == ["first"]
    assert stopwatch.read() == {}
    with stopwatch.phase("first"):
        pass
    assert stopwatch.read()["first"] < 0.05


@pytest.mark.parametrize(
    ("shares", "entropy"), [([0.5, 0.5], math.log(2)), ([0.2, 0.2], math.log(2)), ([0.9, 0.0], 0.0), ([0.0, 0.0], 0.0)]
)
def test_entropy_of_the_shares(shares: list[float], entropy: float) -> None:
    assert share_entropy(torch.tensor(shares)).item() == pytest.approx(entropy, abs=1e-6)
