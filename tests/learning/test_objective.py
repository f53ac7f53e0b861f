# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the objective's terms, each against NumPy or a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from rsl_dpcppo.algorithms.dpcppo.losses import score_regularization
from rsl_dpcppo.learning.gaussian import gaussian_entropy, gaussian_kl, gaussian_log_prob
from rsl_dpcppo.learning.objective import adapted_learning_rate, clipped_surrogate, value_loss


def random_std(*shape: int) -> Tensor:
    return torch.empty(*shape).uniform_(0.2, 2.0)


def normal_density(x: np.ndarray, mean: float, std: float) -> np.ndarray:
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2.0 * math.pi))


def integral(values: np.ndarray, x: np.ndarray) -> float:
    """Return the integral by the trapezoidal rule on an even grid."""
    return float((values[1:] + values[:-1]).sum() * 0.5 * (x[1] - x[0]))


# Kernel (8): density, entropy (14), divergence.


@pytest.mark.parametrize("batch_shape", [(7,), (4, 3)])
def test_log_prob_is_that_of_the_joint_gaussian(batch_shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    actions, mean, std = torch.randn(*batch_shape, 3), torch.randn(*batch_shape, 3), random_std(3)
    log_prob = gaussian_log_prob(actions, mean, std.expand_as(mean))

    # The density with the whole covariance matrix: (2 pi)^(-3/2) |Sigma|^(-1/2) exp(-1/2 d' Sigma^-1 d).
    covariance = np.diag(std.double().numpy() ** 2)
    deviation = (actions - mean).double().numpy()
    distance = np.einsum("...i,ij,...j->...", deviation, np.linalg.inv(covariance), deviation)
    expected = -0.5 * distance - 0.5 * np.log((2.0 * math.pi) ** 3 * np.linalg.det(covariance))
    assert log_prob.shape == batch_shape
    np.testing.assert_allclose(log_prob.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_log_prob_is_a_density() -> None:
    x = np.linspace(-12.0, 14.0, 20_001)
    actions = torch.from_numpy(x)[:, None]
    log_prob = gaussian_log_prob(actions, torch.tensor([1.0]).double(), torch.tensor([0.7]).double())
    assert integral(log_prob.exp().numpy(), x) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("std", [0.05, 0.7, 3.0])
def test_entropy_is_the_integral_of_minus_p_log_p(std: float) -> None:
    x = np.linspace(-12.0 * std, 12.0 * std, 20_001)
    density = normal_density(x, 0.0, std)
    expected = -integral(density * np.log(np.maximum(density, 1e-300)), x)
    assert gaussian_entropy(torch.tensor([std])).item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_entropy_sums_over_the_action() -> None:
    std = random_std(5, 3)
    single = np.array([[gaussian_entropy(std[i, j : j + 1]).item() for j in range(3)] for i in range(5)])
    entropy = gaussian_entropy(std)
    assert entropy.shape == (5,)
    np.testing.assert_allclose(entropy.numpy(), single.sum(axis=1), rtol=1e-5, atol=1e-6)


def test_entropy_is_the_mean_of_minus_log_prob_of_samples() -> None:
    generator = np.random.default_rng(0)
    mean, std = np.array([0.5, -2.0]), np.array([0.3, 1.7])
    samples = mean + std * generator.standard_normal((200_000, 2))
    log_density = np.log(normal_density(samples[:, 0], 0.5, 0.3)) + np.log(normal_density(samples[:, 1], -2.0, 1.7))
    standard_error = log_density.std() / math.sqrt(len(samples))
    assert gaussian_entropy(torch.tensor(std)).item() == pytest.approx(-log_density.mean(), abs=5.0 * standard_error)


@pytest.mark.parametrize("std", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("distance", [0.0, 0.1, 0.5, 1.0, 6.0])
def test_kernel_entropy_is_a_lower_bound_of_the_policy_entropy(std: float, distance: float) -> None:
    """Inequality (14), for a base action that is -distance or +distance with equal probability."""
    x = np.linspace(-distance - 12.0 * std, distance + 12.0 * std, 40_001)
    density = 0.5 * (normal_density(x, -distance, std) + normal_density(x, distance, std))
    policy_entropy = -integral(density * np.log(np.maximum(density, 1e-300)), x)
    bound = gaussian_entropy(torch.tensor([std]).double()).item()
    # The gap is the mutual information of action and base action, at most that of one fair coin.
    assert -1e-6 <= policy_entropy - bound <= math.log(2.0) + 1e-6
    if distance == 0.0:
        assert policy_entropy == pytest.approx(bound, abs=1e-6)
    if distance == 6.0:
        assert policy_entropy - bound == pytest.approx(math.log(2.0), abs=1e-3)


def test_kl_is_that_of_torch() -> None:
    torch.manual_seed(0)
    old_mean, mean, old_std, std = torch.randn(6, 3), torch.randn(6, 3), random_std(6, 3), random_std(6, 3)
    old, new = (Independent(Normal(m, s), 1) for m, s in ((old_mean, old_std), (mean, std)))
    kl = gaussian_kl(old_mean, old_std, mean, std)
    assert kl.shape == (6,)
    torch.testing.assert_close(kl, kl_divergence(old, new), rtol=1e-4, atol=1e-5)
    assert (kl > 0.0).all()


def test_kl_is_the_integral_of_p_log_p_over_q_from_old_to_new() -> None:
    x = np.linspace(-15.0, 15.0, 40_001)
    old, new = normal_density(x, 0.4, 0.6), normal_density(x, -0.3, 1.1)
    expected = integral(old * (np.log(np.maximum(old, 1e-300)) - np.log(new)), x)
    kl = gaussian_kl(*(torch.tensor([value]).double() for value in (0.4, 0.6, -0.3, 1.1)))
    assert kl.item() == pytest.approx(expected, rel=1e-6)


def test_kl_is_zero_between_equal_kernels() -> None:
    mean, std = torch.randn(6, 3), random_std(6, 3)
    torch.testing.assert_close(gaussian_kl(mean, std, mean, std), torch.zeros(6), rtol=0.0, atol=1e-6)


# Clipped surrogate (11).

RATIOS = (0.5, 0.85, 1.0, 1.15, 1.5)


@pytest.mark.parametrize(
    ("advantage", "effective_ratios"),
    [
        (2.0, (0.5, 0.85, 1.0, 1.15, 1.2)),  # no gain beyond 1.2
        (-2.0, (0.8, 0.85, 1.0, 1.15, 1.5)),  # no gain below 0.8
    ],
)
def test_surrogate_by_cases(advantage: float, effective_ratios: tuple[float, ...]) -> None:
    for ratio, effective in zip(RATIOS, effective_ratios, strict=True):
        old_log_prob = torch.tensor([-1.3])
        loss = clipped_surrogate(old_log_prob + math.log(ratio), old_log_prob, torch.tensor([advantage]), 0.2)
        assert loss.item() == pytest.approx(-effective * advantage, rel=1e-5)


def test_surrogate_averages_over_the_batch() -> None:
    generator = np.random.default_rng(0)
    ratio, advantage = np.exp(0.4 * generator.standard_normal(500)), generator.standard_normal(500)
    old_log_prob = generator.standard_normal(500)
    # PPO's pessimistic bound in words: of the two products, whichever is worse.
    gains = [min(r * a, min(max(r, 0.7), 1.3) * a) for r, a in zip(ratio, advantage, strict=True)]
    inputs = (torch.from_numpy(x) for x in (old_log_prob + np.log(ratio), old_log_prob, advantage))
    assert clipped_surrogate(*inputs, 0.3).item() == pytest.approx(-sum(gains) / 500, rel=1e-9)


@pytest.mark.parametrize(
    ("advantage", "ratio", "is_clipped"),
    [
        (2.0, 1.5, True),
        (-2.0, 0.5, True),
        (2.0, 0.5, False),
        (-2.0, 1.5, False),
        (2.0, 1.1, False),
        (-2.0, 0.9, False),
    ],
)
def test_surrogate_has_no_gradient_where_it_is_clipped(advantage: float, ratio: float, is_clipped: bool) -> None:
    log_prob = torch.tensor([math.log(ratio)], requires_grad=True)
    clipped_surrogate(log_prob, torch.zeros(1), torch.tensor([advantage]), 0.2).backward()
    assert log_prob.grad is not None
    assert log_prob.grad.item() == pytest.approx(0.0 if is_clipped else -ratio * advantage, rel=1e-5)


# Score regulariser (15).


def numpy_score_regularization(residual: np.ndarray, std: np.ndarray, base_action: np.ndarray) -> float:
    """Equation (15) as it stands, with the covariance as a matrix and the score of N(0, I) at the base action."""
    norms = []
    for mu, sigma, a0 in zip(residual, std, base_action, strict=True):
        difference = mu - 0.5 * np.diag(sigma**2) @ -a0
        norms.append(np.linalg.norm(difference) ** 2)
    return float(np.mean(norms))


def test_score_regularization_is_equation_15() -> None:
    torch.manual_seed(0)
    residual, std, base_action = torch.randn(9, 3), random_std(9, 3), torch.randn(9, 3)
    expected = numpy_score_regularization(*(x.double().numpy() for x in (residual, std, base_action)))
    loss = score_regularization(residual, std, base_action)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_score_regularization_is_least_at_the_langevin_step() -> None:
    """mu = -Sigma a0 / 2, equation (22), is a stationary point of value zero; elsewhere the value is the distance."""
    torch.manual_seed(0)
    std, base_action = random_std(9, 3).double(), torch.randn(9, 3).double()
    best = torch.from_numpy(-0.5 * std.numpy() ** 2 * base_action.numpy())
    residual = best.clone().requires_grad_()
    loss = score_regularization(residual, std, base_action)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-20)
    assert residual.grad is not None
    assert residual.grad.abs().max().item() == pytest.approx(0.0, abs=1e-10)
    shift = torch.tensor([0.1, 0.0, -0.2], dtype=torch.double)
    assert score_regularization(best + shift, std, base_action).item() == pytest.approx(0.05, rel=1e-9)


def test_langevin_steps_lead_to_the_standard_gaussian() -> None:
    """What the regulariser is for (appendix B): kernels that minimise it turn any policy into N(0, I)."""
    torch.manual_seed(0)
    actions, std = torch.full((40_000, 1), 4.0), torch.tensor([0.4])
    for _ in range(60):
        residual = torch.zeros_like(actions, requires_grad=True)
        score_regularization(residual, std, actions).backward()
        assert residual.grad is not None
        # One Newton step to the minimum of the quadratic; the term is a mean, so each action's share is 1/batch.
        best = -0.5 * len(actions) * residual.grad
        actions = actions + best + std * torch.randn_like(actions)
    assert actions.mean().item() == pytest.approx(0.0, abs=0.1)
    assert actions.std().item() == pytest.approx(1.0, abs=0.05)


def test_score_regularization_pulls_on_the_standard_deviation() -> None:
    """d/d std_j of the mean over the batch of sum_j (mu_j + std_j^2 a0_j / 2)^2."""
    torch.manual_seed(0)
    residual, base_action = torch.randn(9, 3).double(), torch.randn(9, 3).double()
    std = random_std(3).double().requires_grad_()  # one for all states, as the kernel has it
    score_regularization(residual, std.expand(9, 3), base_action).backward()
    mu, a0, sigma = residual.numpy(), base_action.numpy(), std.detach().numpy()
    expected = (2.0 * (mu + 0.5 * sigma**2 * a0) * sigma * a0).mean(axis=0)
    assert std.grad is not None
    np.testing.assert_allclose(std.grad.numpy(), expected, rtol=1e-9)


# Value loss.


@pytest.mark.parametrize(
    ("value", "old_value", "target", "expected"),
    [
        (1.1, 1.0, 2.0, 0.9**2),  # inside the range: the plain error
        (1.9, 1.0, 2.0, 0.8**2),  # moved by more than 0.2 toward the target: the error at 1.2
        (0.0, 1.0, 2.0, 2.0**2),  # moved away: the plain error, which is larger
        (3.0, 1.0, 1.1, 1.9**2),  # moved beyond the target: the plain error, which is larger
    ],
)
def test_clipped_value_loss_by_cases(value: float, old_value: float, target: float, expected: float) -> None:
    inputs = (torch.tensor([x]) for x in (value, old_value, target))
    assert value_loss(*inputs, 0.2).item() == pytest.approx(expected, rel=1e-5)


def test_value_that_moved_enough_has_no_gradient() -> None:
    values = torch.tensor([1.9, 0.1, 1.1], requires_grad=True)
    value_loss(values, torch.ones(3), torch.tensor([2.0, 0.0, 2.0]), 0.2).backward()
    assert values.grad is not None
    np.testing.assert_allclose(values.grad.numpy(), [0.0, 0.0, -2.0 * 0.9 / 3.0], rtol=1e-5)


@pytest.mark.parametrize("clip_param", [None, 0.2])
def test_value_loss_averages_over_the_batch(clip_param: float | None) -> None:
    generator = np.random.default_rng(0)
    values, old_values, returns = generator.standard_normal((3, 400))
    errors = []
    for value, old, target in zip(values, old_values, returns, strict=True):
        error = (value - target) ** 2
        if clip_param is not None:
            limited = old + min(max(value - old, -clip_param), clip_param)
            error = max(error, (limited - target) ** 2)
        errors.append(error)
    loss = value_loss(*(torch.from_numpy(x) for x in (values, old_values, returns)), clip_param)
    assert loss.item() == pytest.approx(sum(errors) / 400, rel=1e-9)


# Adaptive learning rate.

DESIRED_KL = 1.0 / 128.0  # a power of two, so that twice and half of it are exact


def rsl_rl_learning_rate(learning_rate: float, kl: float, desired_kl: float) -> float:
    """The rule as RSL-RL's PPO has it."""
    if kl > desired_kl * 2.0:
        return max(1e-5, learning_rate / 1.5)
    if kl < desired_kl / 2.0 and kl > 0.0:
        return min(1e-2, learning_rate * 1.5)
    return learning_rate


@pytest.mark.parametrize("learning_rate", [1e-6, 1e-5, 1.2e-5, 5e-4, 9e-3, 1e-2, 2e-2])
@pytest.mark.parametrize("share", [-1.0, 0.0, 1e-4, 0.49, 0.5, 0.51, 1.0, 1.99, 2.0, 2.01, 100.0])
def test_learning_rate_follows_the_rule_of_rsl_rl(learning_rate: float, share: float) -> None:
    adapted = adapted_learning_rate(torch.tensor(learning_rate), torch.tensor(share * DESIRED_KL), DESIRED_KL)
    assert adapted.shape == ()
    assert adapted.item() == pytest.approx(
        rsl_rl_learning_rate(learning_rate, share * DESIRED_KL, DESIRED_KL), rel=1e-6
    )


@pytest.mark.parametrize(("kl", "limit"), [(1.0, 1e-5), (1e-6, 1e-2)])
def test_learning_rate_stays_within_its_limits(kl: float, limit: float) -> None:
    learning_rate = torch.tensor(5e-4)
    for _ in range(50):
        learning_rate = adapted_learning_rate(learning_rate, torch.tensor(kl), DESIRED_KL)
    assert learning_rate.item() == pytest.approx(limit, rel=1e-6)
