# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The terms of SAC (arXiv 1812.05905), one pure function each."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import softplus

from rsl_dpcppo.learning.gaussian import gaussian_log_prob


def squashed_log_prob(before: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return log pi(tanh u) = log N(u) - sum log(1 - tanh^2 u), equation (21) in a form without cancellation.

    Args:
        before: u, the action before tanh. Shape: [batch, num_actions].
        mean: Mean of the Gaussian. Shape: [batch, num_actions].
        std: Its standard deviation. Shape: [batch, num_actions].

    Returns:
        Log density in nats. Shape: [batch].
    """
    slope = 2.0 * (math.log(2.0) - before - softplus(-2.0 * before))
    return gaussian_log_prob(before, mean, std) - slope.sum(dim=-1)


def soft_policy_loss(log_prob: Tensor, values: Tensor, temperature: Tensor) -> Tensor:
    """Return E[alpha log pi(a|s) - Q(s, a)], equation (7).

    Args:
        log_prob: log pi(a|s). Shape: [batch].
        values: min(Q1, Q2)(s, a). Shape: [batch].
        temperature: alpha. Shape: [].

    Returns:
        Loss. Shape: [].
    """
    return (temperature * log_prob - values).mean()


def temperature_loss(log_temperature: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """Return E[-alpha (log pi(a|s) + H)], equation (18), which holds the entropy at H.

    Args:
        log_temperature: log alpha. Shape: [].
        log_prob: log pi(a|s). Shape: [batch].
        target_entropy: H in nats.

    Returns:
        Loss. Shape: [].
    """
    return -(log_temperature.exp() * (log_prob.detach() + target_entropy)).mean()
