# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the flow-matching fit."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.flow.ema import ema_horizon, update_ema
from rsl_dpcppo.flow.matching import draw_noise_and_time, flow_matching_loss, interpolate
from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.fit import FitReport, FlowFit


def make_fields(hidden_dims: tuple[int, ...] = (16,), seed: int = 0) -> tuple[VelocityField, VelocityField]:
    """Return a live field over one context and two actions, and its averaged copy."""
    torch.manual_seed(seed)
    live = VelocityField(1, 2, hidden_dims, nn.ELU())
    return live, copy.deepcopy(live)


def weights(field: nn.Module) -> np.ndarray:
    return torch.cat([parameter.detach().flatten() for parameter in field.parameters()]).double().numpy()


def fit(live: Any, averaged: Any, context: Tensor, target: Tensor, **settings: Any) -> FitReport:
    """Fit with plain gradient descent, whose steps are easy to predict, and settings that can be given."""
    settings = {"num_epochs": 1, "num_mini_batches": 4, "ema_decay": 0.9, **settings}
    return FlowFit(live, averaged, torch.optim.SGD(live.parameters(), lr=0.01), **settings).fit(context, target)


# Equation (12) and its parts.


@pytest.mark.parametrize(("num_actions", "context_dim"), [(1, 1), (4, 3)])
def test_loss_is_equation_12(num_actions: int, context_dim: int) -> None:
    torch.manual_seed(0)
    field = VelocityField(context_dim, num_actions, [8], nn.Identity())  # linear: u = A [s, a_t, t] + b
    context, target = torch.randn(32, context_dim), 2.0 * torch.randn(32, num_actions)
    noise, time = torch.randn(32, num_actions), torch.rand(32, 1)

    loss = flow_matching_loss(field, context, target, noise, time)

    first, last = field.input_layer, field.trunk[-1]
    assert isinstance(last, nn.Linear)
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in (first.weight, first.bias, last.weight, last.bias))
    total = 0.0
    for s, a1, an, t in zip(*(x.double().numpy() for x in (context, target, noise, time)), strict=True):
        at = (1.0 - t) * an + t * a1
        u = w2 @ (w1 @ np.concatenate((s, at, t)) + b1) + b2
        total += sum((u[i] - (a1[i] - an[i])) ** 2 for i in range(num_actions))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(total / 32, rel=1e-5)


def test_path_goes_straight_from_noise_to_target() -> None:
    noise, target = torch.randn(5, 3), torch.randn(5, 3)
    torch.testing.assert_close(interpolate(noise, target, torch.zeros(5, 1)), noise, rtol=0.0, atol=0.0)
    torch.testing.assert_close(interpolate(noise, target, torch.ones(5, 1)), target, rtol=0.0, atol=0.0)
    quarters = interpolate(noise, target, torch.full((5, 1), 0.25))
    np.testing.assert_allclose(quarters.numpy(), 0.75 * noise.numpy() + 0.25 * target.numpy(), rtol=1e-5, atol=1e-6)


def test_noise_is_standard_normal_and_time_uniform() -> None:
    torch.manual_seed(0)
    noise, time = draw_noise_and_time(torch.full((100_000, 2), 7.0))
    assert noise.shape == (100_000, 2)
    assert time.shape == (100_000, 1)
    check_standard_normal(noise.double().numpy())
    check_uniform(time.double().numpy())
    assert abs(np.corrcoef(np.concatenate((noise.numpy(), time.numpy()), axis=1).T) - np.eye(3)).max() < 0.02


def check_standard_normal(samples: np.ndarray) -> None:
    """Check the share of samples below some quantiles; the bound is five standard errors."""
    for bound in (-2.0, -1.0, 0.0, 0.5, 1.5):
        expected = 0.5 * (1.0 + math.erf(bound / math.sqrt(2.0)))
        assert (samples < bound).mean() == pytest.approx(expected, abs=5.0 * math.sqrt(0.25 / samples.size))


def check_uniform(samples: np.ndarray) -> None:
    assert samples.min() >= 0.0
    assert samples.max() <= 1.0
    for bound in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert (samples < bound).mean() == pytest.approx(bound, abs=5.0 * math.sqrt(0.25 / samples.size))


# The averaged weights.


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99, 0.999])
def test_average_moves_toward_the_live_weights(decay: float) -> None:
    live, _ = make_fields(seed=0)
    averaged, _ = make_fields(seed=1)
    expected = weights(averaged)
    for _ in range(3):
        update_ema(averaged, live, decay)
        expected = decay * expected + (1.0 - decay) * weights(live)
        np.testing.assert_allclose(weights(averaged), expected, rtol=1e-5, atol=1e-7)


def test_average_with_decay_zero_is_the_live_field() -> None:
    live, _ = make_fields(seed=0)
    averaged, _ = make_fields(seed=1)
    update_ema(averaged, live, 0.0)
    np.testing.assert_array_equal(weights(averaged), weights(live))


def test_average_leaves_the_live_field_alone() -> None:
    live, _ = make_fields(seed=0)
    averaged, _ = make_fields(seed=1)
    before = weights(live)
    update_ema(averaged, live, 0.5)
    np.testing.assert_array_equal(weights(live), before)


@pytest.mark.parametrize(("decay", "steps"), [(0.999, 60), (0.99, 60), (0.9, 5), (0.0, 1)])
def test_horizon_is_the_mean_age_of_what_is_averaged(decay: float, steps: int) -> None:
    """The weight after k steps has the share (1 - decay) decay^k: the mean of k + 1 steps, in iterations."""
    ages = np.arange(1, 40_000)
    mean_age = ((1.0 - decay) * decay ** (ages - 1.0) * ages).sum()
    assert ema_horizon(decay, steps) == pytest.approx(mean_age / steps, rel=1e-6)


# The epochs.


class RecordingField(VelocityField):
    """Keeps the inputs of each evaluation."""

    def __init__(self) -> None:
        super().__init__(1, 2, [4], nn.ELU())
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []
        self._context = torch.empty(0)

    def embed(self, context: Tensor) -> Tensor:
        self._context = context.detach().clone()
        return super().embed(context)

    def forward(self, action: Tensor, time: Tensor, embedding: Tensor) -> Tensor:
        self.calls.append((self._context, action.detach().clone(), time.detach().clone()))
        return super().forward(action, time, embedding)


def test_each_epoch_visits_every_pair_once_with_new_noise_and_time() -> None:
    torch.manual_seed(0)
    num_pairs, num_epochs, num_mini_batches = 1000, 30, 4
    live = RecordingField()
    context = torch.arange(num_pairs, dtype=torch.float)[:, None]  # tells which pair it is
    target = torch.stack((context[:, 0], -context[:, 0]), dim=-1) / num_pairs

    fit(live, RecordingField(), context, target, num_epochs=num_epochs, num_mini_batches=num_mini_batches)

    assert len(live.calls) == num_epochs * num_mini_batches
    assert all(len(action) == num_pairs / num_mini_batches for _, action, _ in live.calls)
    indices, action, time = (
        np.concatenate([call[i].double().numpy() for call in live.calls]).reshape(num_epochs, num_pairs, -1)
        for i in range(3)
    )
    order = indices[..., 0].argsort(axis=1)
    assert (np.take_along_axis(indices[..., 0], order, axis=1) == np.arange(num_pairs)).all()
    assert (order[0] != order[1]).any()

    # By pair and epoch now: noise as it stands in a_t = (1 - t) a_n + t a_1.
    action, time = (np.take_along_axis(x, order[..., None], axis=1) for x in (action, time))
    known = time[..., 0] < 0.99  # the noise cannot be told from an a_t that is a_1
    noise = (action - time * target.double().numpy()) / (1.0 - time)
    check_uniform(time)
    # Leaving out a few does not change the noise, because time is drawn apart from it.
    check_standard_normal(noise[known])
    for first, second in ((0, 1), (1, 2), (0, num_epochs - 1)):
        both = known[first] & known[second]
        assert abs(noise[first][both] - noise[second][both]).min() > 0.0
        assert abs(np.corrcoef(noise[first][both, 0], noise[second][both, 0])[0, 1]) < 0.2
        assert abs(np.corrcoef(time[first, :, 0], time[second, :, 0])[0, 1]) < 0.2


def test_kept_noise_stays_with_its_pair() -> None:
    """Targets that only their noise explains: the flow learns which noise goes where."""
    torch.manual_seed(0)
    live = VelocityField(1, 2, [64, 64], nn.ELU())
    optimizer = torch.optim.Adam(live.parameters(), lr=3e-3)
    context, noise = torch.zeros(4096, 1), torch.randn(4096, 2)
    target = torch.stack((noise[:, 1].sign(), torch.zeros(4096)), dim=-1)  # along x by the noise's y

    FlowFit(live, copy.deepcopy(live), optimizer, 60, 8, 0.9).fit(context, target, noise)

    fresh = torch.randn(1000, 2)
    with torch.no_grad():
        actions = FlowSolver(live, 16)(fresh, torch.zeros(1000, 1))
    clear = fresh[:, 1].abs() > 0.2
    assert (actions[clear, 0].sign() == fresh[clear, 1].sign()).float().mean() > 0.98
    assert actions[clear, 0].abs().median() > 0.8


def test_annealed_rates_fall_to_zero_and_come_back() -> None:
    """Linearly over the gradient steps of a fit, and nothing else is averaged."""
    live, _ = make_fields()
    rate = torch.tensor(0.08)
    optimizer = torch.optim.SGD(live.parameters(), lr=rate)
    seen: list[float] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(optimizer.param_groups[0]["lr"].item()))

    fit = FlowFit(live, None, optimizer, num_epochs=2, num_mini_batches=4, annealed=True)
    fit.fit(torch.zeros(64, 1), torch.full((64, 2), 3.0))

    assert seen == pytest.approx([0.08 * (1 - step / 8) for step in range(8)])
    assert rate.item() == pytest.approx(0.08)


def test_live_field_changes_and_the_average_lags_it_by_the_recursion() -> None:
    """Seen through the steps of the live field: the average after the fit is the recursion over all of them."""
    live, averaged = make_fields()
    path = [weights(live)]
    optimizer = torch.optim.SGD(live.parameters(), lr=0.05)
    optimizer.register_step_post_hook(lambda *_: path.append(weights(live)))

    settings: dict[str, Any] = {"num_epochs": 5, "num_mini_batches": 4, "ema_decay": 0.9}
    FlowFit(live, averaged, optimizer, **settings).fit(torch.zeros(64, 1), torch.full((64, 2), 3.0))

    expected = path[0]
    for step in path[1:]:
        expected = 0.9 * expected + 0.1 * step
    assert len(path) == 1 + 5 * 4
    np.testing.assert_allclose(weights(averaged), expected, rtol=1e-5, atol=1e-6)
    moved, moved_average = np.linalg.norm(path[-1] - path[0]), np.linalg.norm(weights(averaged) - path[0])
    assert 0.0 < moved_average < moved


def test_average_may_be_frozen() -> None:
    live, averaged = make_fields()
    averaged.requires_grad_(False)
    before = weights(averaged)
    fit(live, averaged, torch.zeros(16, 1), torch.ones(16, 2))
    assert abs(weights(averaged) - before).max() > 0.0
    assert all(parameter.grad is None for parameter in averaged.parameters())


def test_report_has_the_mean_loss_of_first_and_last_epoch() -> None:
    """With a field u = 0 that does not learn and a_1 = 3, it is E||3 - a_n||^2: for each action 9 + 1."""
    live, averaged = make_fields()
    for parameter in live.parameters():
        nn.init.zeros_(parameter)
    context, target = torch.zeros(4000, 1), torch.full((4000, 2), 3.0)
    optimizer = torch.optim.SGD(live.parameters(), lr=0.0)
    settings: dict[str, Any] = {"num_epochs": 3, "num_mini_batches": 7, "ema_decay": 0.9}
    report = FlowFit(live, averaged, optimizer, **settings).fit(context, target)
    assert report.num_epochs == 3
    standard_error = math.sqrt(2 * (2.0 + 4.0 * 9.0) / len(target))
    for loss in (report.first_loss, report.last_loss):
        assert loss.shape == ()
        assert loss.item() == pytest.approx(20.0, abs=5.0 * standard_error)
    assert report.first_loss.item() != report.last_loss.item()  # each has noise of its own


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_ranks_average_every_gradient_once_per_step_before_it_is_used(tolerance: float) -> None:
    live, averaged = make_fields()
    before, parameters = weights(live), list(live.parameters())
    gradients_seen, scalars_seen = [], []

    def cancel(tensors: list[Tensor]) -> None:
        """Stand for another rank whose gradients are the opposite of this one's."""
        if tensors[0].dim() == 0:
            scalars_seen.append(tensors)
            return
        gradients_seen.append([x is parameter.grad for x, parameter in zip(tensors, parameters, strict=True)])
        for tensor in tensors:
            tensor.zero_()

    settings = {"num_epochs": 3, "tolerance": tolerance, "average_across_ranks": cancel}
    report = fit(live, averaged, torch.zeros(32, 1), torch.ones(32, 2), **settings)

    assert len(gradients_seen) == 4 * report.num_epochs
    assert all(all(call) for call in gradients_seen)
    np.testing.assert_array_equal(weights(live), before)
    # Ranks must agree on when to end, so the loss is averaged too where the end depends on it.
    assert len(scalars_seen) == (report.num_epochs if tolerance else 0)


# Learning a distribution.


@dataclass
class Fitted:
    """A fit of two contexts: A has modes at -1 and +1 with shares 0.3 and 0.7, B has one."""

    live: VelocityField
    averaged: VelocityField
    optimizer: torch.optim.Optimizer
    context: Tensor
    target: Tensor
    report: FitReport


A, B = (1.0, 0.0), (0.0, 1.0)
MODE_B, STD = 0.5, 0.1


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """Fit a small network to pairs of both contexts."""
    torch.manual_seed(0)
    num_pairs = 8192
    is_a = torch.rand(num_pairs, 1) < 0.5
    modes = torch.where(is_a, torch.where(torch.rand(num_pairs, 1) < 0.7, 1.0, -1.0), MODE_B)
    target = modes + STD * torch.randn(num_pairs, 1)
    context = torch.where(is_a, torch.tensor(A), torch.tensor(B))
    live = VelocityField(2, 1, [64, 64], nn.ELU())
    averaged = copy.deepcopy(live)
    optimizer = torch.optim.Adam(live.parameters(), lr=3e-3)
    settings: dict[str, Any] = {"num_epochs": 150, "num_mini_batches": 16, "ema_decay": 0.995}
    report = FlowFit(live, averaged, optimizer, **settings).fit(context, target)
    return Fitted(live, averaged, optimizer, context, target, report)


@torch.no_grad()
def sample(fitted: Fitted, context: tuple[float, float]) -> np.ndarray:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(20_000, 1, generator=generator)
    return FlowSolver(fitted.averaged, 32)(noise, torch.tensor(context).expand(20_000, 2)).double().numpy()[:, 0]


def test_fit_recovers_two_modes_with_their_shares(fitted: Fitted) -> None:
    actions = sample(fitted, A)
    upper = actions > 0.0
    assert upper.mean() == pytest.approx(0.7, abs=0.05)
    for mode, members in ((1.0, actions[upper]), (-1.0, actions[~upper])):
        # The median and the quartiles, because the few samples between the modes are no matter of their spread.
        lower_quartile, median, upper_quartile = np.quantile(members, (0.25, 0.5, 0.75))
        assert median == pytest.approx(mode, abs=0.05)
        assert (upper_quartile - lower_quartile) / 1.349 == pytest.approx(STD, abs=0.04)
        assert members.mean() == pytest.approx(mode, abs=0.1)
    assert (abs(actions) < 0.5).mean() < 0.05


def test_fit_recovers_one_mode_where_the_context_has_one(fitted: Fitted) -> None:
    actions = sample(fitted, B)
    assert actions.mean() == pytest.approx(MODE_B, abs=0.05)
    assert actions.std() == pytest.approx(STD, abs=0.04)


def test_loss_falls_while_fitting(fitted: Fitted) -> None:
    assert fitted.report.num_epochs == 150
    assert fitted.report.last_loss.item() < 0.8 * fitted.report.first_loss.item()


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_tolerance_ends_a_converged_fit_early(fitted: Fitted, tolerance: float) -> None:
    live, averaged = copy.deepcopy(fitted.live), copy.deepcopy(fitted.averaged)
    optimizer = torch.optim.Adam(live.parameters(), lr=1e-4)
    settings: dict[str, Any] = {"num_epochs": 8, "num_mini_batches": 4, "ema_decay": 0.99, "tolerance": tolerance}
    report = FlowFit(live, averaged, optimizer, **settings).fit(fitted.context, fitted.target)
    if tolerance:
        assert 2 <= report.num_epochs < 8
    else:
        assert report.num_epochs == 8


@pytest.mark.parametrize(
    ("tolerance", "losses", "num_epochs"),
    [
        (0.1, [10.0, 8.0, 7.0, 6.9, 1.0], 4),  # 6.9 is above 0.9 x 7
        (0.1, [10.0, 9.5, 1.0, 0.5, 0.1], 2),
        (0.1, [10.0, 11.0, 1.0, 0.5, 0.1], 2),
        (0.01, [10.0, 9.5, 9.2, 9.0, 8.8], 5),
        (0.0, [10.0, 11.0, 12.0, 13.0, 14.0], 5),
    ],
)
def test_tolerance_compares_with_the_best_epoch(tolerance: float, losses: list[float], num_epochs: int) -> None:
    """The losses are those that all ranks agree on, which this test gives."""
    remaining = iter(losses)

    def agree(tensors: list[Tensor]) -> None:
        if tensors[0].dim() == 0:
            tensors[0].fill_(next(remaining))

    live, averaged = make_fields()
    settings = {"num_epochs": len(losses), "tolerance": tolerance, "average_across_ranks": agree}
    report = fit(live, averaged, torch.zeros(8, 1), torch.ones(8, 2), **settings)
    assert report.num_epochs == num_epochs


def test_tolerance_lets_a_fit_go_on_that_improves() -> None:
    """The loss of a target far away falls by more than the tolerance in every epoch."""
    live, averaged = make_fields()
    settings = {"num_epochs": 6, "tolerance": 0.01}
    report = fit(live, averaged, torch.zeros(512, 1), torch.full((512, 2), 10.0), **settings)
    assert report.num_epochs == 6
    assert report.last_loss < report.first_loss


def test_mixed_precision_fits_too_and_keeps_the_weights_in_full_precision() -> None:
    live, averaged = make_fields()
    target = torch.full((512, 2), 10.0)
    settings = {"num_epochs": 6, "autocast_dtype": torch.bfloat16}
    report = fit(live, averaged, torch.zeros(512, 1), target, **settings)
    assert report.last_loss < 0.9 * report.first_loss
    assert all(parameter.dtype == torch.float32 for field in (live, averaged) for parameter in field.parameters())


def test_fewer_pairs_than_mini_batches_are_refused() -> None:
    live, averaged = make_fields()
    context, target = torch.randn(3, live.context_dim), torch.randn(3, live.num_actions)
    with pytest.raises(ConfigError, match="flow_num_mini_batches is 8; the flow is fitted to 3 samples only"):
        fit(live, averaged, context, target, num_mini_batches=8)
