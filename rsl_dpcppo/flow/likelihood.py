# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The density of a flow policy, by the divergence of its velocity field, and the entropy of a mixture of kernels.

The flow's density changes along its paths as d log pi / dt = -div u (Chen et al. 2018, arXiv 1806.07366, theorem 1),
and so log pi(a | s) = log N(a_n; 0, I) - int_0^1 div u dt. The divergence is exact for few actions; for more of them it
is Hutchinson's estimate (Grathwohl et al. 2019, arXiv 1810.01367).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField

MOST_EXACT = 8
"""Actions up to which the trace is exact; it takes a derivative of the network for each."""

NUM_PROBES = 4
"""Random directions that estimate the trace beyond."""


def trace_probes(action: Tensor, num_probes: int = 0) -> Tensor:
    """Return vectors v with sum v v^T = I, in the mean at least, so that sum v^T J v is the trace of J.

    Args:
        action: What they are for. Shape: [batch, num_actions].
        num_probes: Number of random vectors of +-1 / sqrt(num_probes) (Hutchinson's); 0 takes the unit vectors.

    Returns:
        Vectors. Shape: [num_probes or num_actions, batch, num_actions].
    """
    if num_probes == 0:
        units = torch.eye(action.shape[-1], dtype=action.dtype, device=action.device)
        return units.unsqueeze(1).expand(-1, *action.shape)
    signs = torch.randint(0, 2, (num_probes, *action.shape), device=action.device).to(action.dtype)
    return (2.0 * signs - 1.0) / math.sqrt(num_probes)


def divergence(velocity: VelocityField, action: Tensor, time: Tensor, embedding: Tensor, probes: Tensor) -> Tensor:
    """Return div u(a_t, t, s), the trace of du/da.

    Args:
        velocity: The field u.
        action: a_t. Shape: [batch, num_actions].
        time: t. Shape: [].
        embedding: What ``velocity.embed`` returned for s. Shape: [batch, width].
        probes: What :func:`trace_probes` returned. Shape: [num_probes, batch, num_actions].

    Returns:
        Divergence per unit of flow time. Shape: [batch].
    """

    def along(probe: Tensor) -> Tensor:
        slope: Tensor = torch.func.jvp(lambda a: velocity(a, time, embedding), (action,), (probe,))[1]
        return (probe * slope).sum(dim=-1)

    return torch.stack([along(probe) for probe in probes]).sum(dim=0)


def _transport(
    flow: FlowSolver, action: Tensor, context: Tensor, start: float, end: float, num_probes: int | None
) -> tuple[Tensor, Tensor]:
    """Follow the flow from one time to another, and integrate the divergence on the way by the trapezoidal rule."""
    if num_probes is None:
        num_probes = 0 if action.shape[-1] <= MOST_EXACT else NUM_PROBES
    probes, embedding = trace_probes(action, num_probes), flow.velocity.embed(context)
    step_size = (end - start) / flow.num_steps
    times = start + step_size * torch.arange(flow.num_steps + 1, dtype=action.dtype, device=action.device)
    integral = 0.5 * divergence(flow.velocity, action, times[0], embedding, probes)
    for i in range(flow.num_steps):
        action = flow.step(action, times[i], step_size, embedding)
        weight = 0.5 if i == flow.num_steps - 1 else 1.0
        integral = integral + weight * divergence(flow.velocity, action, times[i + 1], embedding, probes)
    return action, step_size * integral


def sample_with_log_prob(
    flow: FlowSolver, noise: Tensor, context: Tensor, num_probes: int | None = None
) -> tuple[Tensor, Tensor]:
    """Carry noise to actions, and return their log density too.

    Args:
        flow: The flow. Its density is that of the equation it solves, up to the error of its steps.
        noise: a_n from N(0, I). Shape: [batch, num_actions].
        context: s. Shape: [batch, context_dim].
        num_probes: As in :func:`trace_probes`; None is exact up to :data:`MOST_EXACT` actions.

    Returns:
        Actions of shape [batch, num_actions], and log pi(a | s) in nats of shape [batch].
    """
    action, integral = _transport(flow, noise, context, 0.0, 1.0, num_probes)
    return action, standard_log_prob(noise) - integral


def flow_log_prob(flow: FlowSolver, action: Tensor, context: Tensor, num_probes: int | None = None) -> Tensor:
    """Return log pi(a | s) of given actions, by following the flow back to the noise.

    Args:
        flow: The flow, as in :func:`sample_with_log_prob`.
        action: a. Shape: [batch, num_actions].
        context: s. Shape: [batch, context_dim].
        num_probes: As in :func:`trace_probes`; None is exact up to :data:`MOST_EXACT` actions.

    Returns:
        Log density in nats. Shape: [batch].
    """
    noise, integral = _transport(flow, action, context, 1.0, 0.0, num_probes)
    return standard_log_prob(noise) + integral


def standard_log_prob(noise: Tensor) -> Tensor:
    """Return log N(a_n; 0, I) in nats. Shapes: [..., num_actions] -> [...]."""
    return (-0.5 * noise.square() - 0.5 * math.log(2.0 * math.pi)).sum(dim=-1)


def mixture_entropy_bounds(log_probs: Tensor) -> tuple[Tensor, Tensor]:
    """Return a lower and an upper bound of the entropy of pi(a | s) = int p(a | a0, s) pi(a0 | s) da0, in the mean.

    The density of each action is estimated from K base actions. With the one that it was drawn around among them the
    estimate is too high, and at K = 1 the bound is the kernel's entropy, the paper's (14); without it, too low
    (Yin and Zhou 2018, arXiv 1805.11183; Sobolev and Vetrov 2019, arXiv 1909.08275). Both meet as K grows; the lower
    one is at most log K above the kernel's entropy.

    Args:
        log_probs: log p(a_i | a0_j, s), a_i drawn around a0_i, K of each. Shape: [..., K, K].

    Returns:
        Lower and upper bound in nats; the upper one takes K from 2. Shape of each: [...].
    """
    num_samples = log_probs.shape[-1]
    own = torch.eye(num_samples, dtype=torch.bool, device=log_probs.device)
    others = log_probs.masked_fill(own, -math.inf)
    lower = math.log(num_samples) - log_probs.logsumexp(dim=-1).mean(dim=-1)
    upper = math.log(max(1, num_samples - 1)) - others.logsumexp(dim=-1).mean(dim=-1)
    return lower, upper
