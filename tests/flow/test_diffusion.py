# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of DPPO's denoising chain against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.diffusion import DenoisingChain, cosine_betas
from rsl_dpcppo.flow.velocity import VelocityField

NUM_STEPS, NUM_ACTIONS, CONTEXT_DIM = 6, 2, 3
MIN_STD, NOISE_CLIP, DENOISED_CLIP = 0.1, 3.0, 1.0


def make_chain() -> DenoisingChain:
    torch.manual_seed(0)
    velocity = VelocityField(CONTEXT_DIM, NUM_ACTIONS, [16, 16], nn.ReLU(), time_features=4)
    return DenoisingChain(velocity, NUM_STEPS, MIN_STD, NOISE_CLIP, DENOISED_CLIP)


def numpy_schedule() -> tuple[np.ndarray, np.ndarray]:
    """Return beta_k and the product of 1 - beta up to k."""
    f = np.cos((np.arange(NUM_STEPS + 1) / NUM_STEPS + 0.008) / 1.008 * np.pi / 2) ** 2
    betas = np.minimum(1 - f[1:] / f[:-1], 0.999)
    return betas, np.cumprod(1 - betas)


def numpy_step(chain: DenoisingChain, action: np.ndarray, step: int, context: Tensor) -> tuple[np.ndarray, float]:
    """Return mean and standard deviation of q(a^k | a^(k+1), a^0) at the network's estimate of a^0."""
    betas, kept = numpy_schedule()
    before = kept[step - 1] if step > 0 else 1.0
    time = torch.full((len(action), 1), step / NUM_STEPS)
    with torch.no_grad():
        estimate = (
            chain.velocity(torch.from_numpy(action).float(), time, chain.velocity.embed(context)).double().numpy()
        )
    denoised = np.clip((action - np.sqrt(1 - kept[step]) * estimate) / np.sqrt(kept[step]), -1.0, 1.0)
    # Bayes' rule for two Gaussians: N(a^k; sqrt(before) a^0, 1 - before) and N(a^(k+1); sqrt(1 - beta) a^k, beta).
    if step == 0:
        return denoised, MIN_STD
    precision = (1 - betas[step]) / betas[step] + 1 / (1 - before)
    mean = (np.sqrt(1 - betas[step]) * action / betas[step] + np.sqrt(before) * denoised / (1 - before)) / precision
    return mean, max(MIN_STD, math.sqrt(1 / precision))


def test_cosine_schedule() -> None:
    np.testing.assert_allclose(cosine_betas(NUM_STEPS).numpy(), numpy_schedule()[0], rtol=1e-12)


def play(chain: DenoisingChain, noise: Tensor, context: Tensor) -> np.ndarray:
    """Denoise with the schedule's deviations, no smaller than 0.001, and none at the last step."""
    action, *drawn = noise.double().numpy().reshape(len(noise), -1, NUM_ACTIONS).transpose(1, 0, 2)
    betas, kept = numpy_schedule()
    for step, step_noise in zip(reversed(range(NUM_STEPS)), drawn, strict=True):
        mean, _ = numpy_step(chain, action, step, context)
        std = max(math.sqrt(betas[step] * (1 - kept[step - 1]) / (1 - kept[step])), 1e-3) if step else 0.0
        action = mean + std * np.clip(step_noise, -NOISE_CLIP, NOISE_CLIP)
    return action


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_play_has_the_schedules_noise_but_at_the_last_step(scale: float) -> None:
    chain, context = make_chain(), torch.randn(9, CONTEXT_DIM)
    noise = scale * torch.randn(9, chain.noise_width)
    with torch.no_grad():
        action = chain(noise, context).numpy()
    np.testing.assert_allclose(action, play(chain, noise, context), rtol=1e-4, atol=1e-5)
    assert np.abs(action).max() <= 1.0


def test_log_prob_is_that_of_each_step() -> None:
    chain, context = make_chain(), torch.randn(9, CONTEXT_DIM)
    with torch.no_grad():
        steps = chain.sample(torch.randn(9, chain.noise_width), context)
        log_prob = chain.log_prob(steps, context)
    assert log_prob.shape == (9, NUM_STEPS)
    for i, step in enumerate(reversed(range(NUM_STEPS))):
        mean, std = numpy_step(chain, steps[:, i].double().numpy(), step, context)
        error = (steps[:, i + 1].double().numpy() - mean) / std
        density = np.exp(-0.5 * error**2) / (std * math.sqrt(2 * math.pi))
        expected = np.clip(np.log(density), -5.0, 2.0).mean(axis=1)
        np.testing.assert_allclose(log_prob[:, i].numpy(), expected, rtol=1e-3, atol=2e-4)


def test_samples_have_the_steps_moments() -> None:
    chain = make_chain()
    context, noise = torch.randn(1, CONTEXT_DIM).expand(40_000, -1), torch.randn(1, NUM_ACTIONS).expand(40_000, -1)
    with torch.no_grad():
        steps = chain.sample(torch.cat((noise, torch.randn(40_000, NUM_STEPS * NUM_ACTIONS)), dim=-1), context)
    mean, std = numpy_step(chain, noise[:1].double().numpy(), NUM_STEPS - 1, context[:1])
    first = steps[:, 1].double()
    torch.testing.assert_close(first.mean(dim=0), torch.from_numpy(mean[0]), rtol=0.0, atol=4 * std / 200)
    # Cutting the noise off at three deviations takes 1.3 % of a Gaussian's deviation at most.
    torch.testing.assert_close(first.std(dim=0), torch.full((NUM_ACTIONS,), std).double(), rtol=0.03, atol=0.0)
    assert ((first - torch.from_numpy(mean)) / std).abs().max() == pytest.approx(NOISE_CLIP, abs=1e-3)
    assert torch.equal(steps[:, 0], noise)
