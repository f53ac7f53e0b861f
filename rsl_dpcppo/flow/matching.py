# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Fitting a flow policy to samples: the flow-matching loss and the epochs that minimise it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from rsl_dpcppo.flow.velocity import VelocityField


def interpolate(noise: Tensor, target: Tensor, time: Tensor) -> Tensor:
    """Return a_t = (1 - t) a_n + t a_1, the straight path that flow matching learns from (below equation 12).

    Args:
        noise: a_n. Shape: [batch, num_actions].
        target: a_1. Shape: [batch, num_actions].
        time: t in [0, 1]. Shape: [batch, 1].
    """
    return (1.0 - time) * noise + time * target


def flow_matching_loss(velocity: VelocityField, context: Tensor, target: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return E[||u(a_t, t, s) - (a_1 - a_n)||^2], equation (12) of arXiv 2603.04790.

    Args:
        velocity: The field u to fit.
        context: s. Shape: [batch, context_dim].
        target: a_1, actions of the policy to imitate. Shape: [batch, num_actions].
        noise: a_n from N(0, I). Shape: [batch, num_actions].
        time: t from U(0, 1). Shape: [batch, 1].

    Returns:
        The squared norm, summed over the action and averaged over the batch, in squared actions. Shape: [].
    """
    predicted = velocity(interpolate(noise, target, time), time, velocity.embed(context))
    return (predicted - (target - noise)).square().sum(dim=-1).mean()


def draw_noise_and_time(target: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a_n ~ N(0, I) of the target's shape and t ~ U(0, 1) of shape [batch, 1] for one step of the fit."""
    return torch.randn_like(target), torch.rand_like(target[:, :1])


def update_ema(ema: nn.Module, live: nn.Module, decay: float) -> None:
    """Move the averaged weights toward the live ones: ema <- decay ema + (1 - decay) live (section 3.2)."""
    get_ema_multi_avg_fn(decay)(list(ema.parameters()), list(live.parameters()), 0)  # type: ignore[no-untyped-call]


def ema_horizon(decay: float, steps_per_iteration: int) -> float:
    """Return how many iterations the averaged weights look back: 1 / ((1 - decay) steps_per_iteration)."""
    return 1.0 / ((1.0 - decay) * steps_per_iteration)


@dataclass
class FitReport:
    """What one fit did. The losses are the mean over an epoch's mini-batches, kept on the device. Shape: []."""

    first_loss: Tensor
    last_loss: Tensor
    num_epochs: int


def fit_flow(
    velocity: VelocityField,
    ema_velocity: VelocityField,
    optimizer: torch.optim.Optimizer,
    context: Tensor,
    target: Tensor,
    *,
    num_epochs: int,
    num_mini_batches: int,
    ema_decay: float,
    tolerance: float = 0.0,
    average_across_ranks: Callable[[list[Tensor]], None] | None = None,
    autocast_dtype: torch.dtype | None = None,
) -> FitReport:
    """Fit the velocity field to (context, target) pairs by flow matching, Algorithm 1 of arXiv 2603.04790.

    Noise and time are drawn anew in every epoch, and the averaged weights follow every gradient step.

    Args:
        velocity: The live field, changed in place.
        ema_velocity: The averaged field that acts, changed in place.
        optimizer: Optimizer of the live field's parameters.
        context: s. Shape: [batch, context_dim].
        target: a_1. Shape: [batch, num_actions].
        num_epochs: Passes over the pairs.
        num_mini_batches: Gradient steps a pass, at most one a pair.
        ema_decay: Share of the averaged weights that is kept at each gradient step.
        tolerance: End early, once an epoch's loss is not below (1 - tolerance) times the best epoch's so far; 0 is off.
        average_across_ranks: Replaces each tensor by its mean over all ranks; None for a single process.
        autocast_dtype: Run the loss in mixed precision of this type; None for full precision.

    Returns:
        Losses of the first and the last epoch, and the number of epochs done.
    """
    parameters = list(velocity.parameters())
    num_mini_batches = min(num_mini_batches, len(target))
    losses: list[Tensor] = []
    best = float("inf")
    for _ in range(num_epochs):
        epoch_loss = torch.zeros((), device=target.device)
        order = torch.randperm(target.shape[0], device=target.device)
        for indices in order.tensor_split(num_mini_batches):
            batch_target = target[indices]
            noise, time = draw_noise_and_time(batch_target)
            with torch.autocast(target.device.type, dtype=autocast_dtype, enabled=autocast_dtype is not None):
                loss = flow_matching_loss(velocity, context[indices], batch_target, noise, time)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if average_across_ranks is not None:
                average_across_ranks([parameter.grad for parameter in parameters if parameter.grad is not None])
            optimizer.step()
            update_ema(ema_velocity, velocity, ema_decay)
            epoch_loss += loss.detach() / num_mini_batches
        losses.append(epoch_loss)
        if tolerance > 0.0:
            if average_across_ranks is not None:
                average_across_ranks([epoch_loss])
            current = epoch_loss.item()  # the one synchronisation an epoch that stopping early asks for
            if current > (1.0 - tolerance) * best:
                break
            best = current
    optimizer.zero_grad(set_to_none=True)
    return FitReport(losses[0], losses[-1], len(losses))
