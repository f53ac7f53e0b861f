# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the tests of flows that can be run backward share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.velocity import VelocityField

CONTEXT_DIM = 3


def bent_field(num_actions: int, time_features: int = 4) -> VelocityField:
    """Return a field with random weights in double precision, large enough to bend a flow."""
    torch.manual_seed(0)
    velocity = VelocityField(CONTEXT_DIM, num_actions, [16, 16], nn.Mish(), time_features).double()
    with torch.no_grad():
        for parameter in velocity.parameters():
            parameter.mul_(2.0)
    return velocity


def check_change_of_variables(flow: Any, num_actions: int) -> Tensor:
    """Compare a flow's density with its inverse's Jacobian at random points; return the Jacobian's log determinants."""
    determinants = []
    for _ in range(5):
        pair, context = torch.randn(1, 2 * num_actions).double(), torch.randn(1, CONTEXT_DIM).double()
        noise = flow.inverse(pair, context)
        jacobian = torch.autograd.functional.jacobian(lambda x, s=context: flow.inverse(x, s)[0], pair)[:, 0]
        normal = torch.distributions.Normal(0.0, 1.0).log_prob(noise).sum()
        determinants.append(torch.linalg.slogdet(jacobian).logabsdet)
        torch.testing.assert_close(flow.log_prob(noise)[0], normal + determinants[-1], rtol=1e-9, atol=1e-9)
    return torch.stack(determinants)
