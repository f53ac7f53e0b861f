# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Activations by RSL-RL's names."""

from __future__ import annotations

from torch import nn

from rsl_dpcppo.config.checks import ACTIVATIONS


def make_activation(name: str) -> nn.Module:
    """Return an activation by a name that :func:`~rsl_dpcppo.config.checks.check_activation` has passed."""
    return getattr(nn, ACTIVATIONS[name.lower()])()
