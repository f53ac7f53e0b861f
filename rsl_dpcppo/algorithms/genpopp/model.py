# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO++'s policy."""

from __future__ import annotations

from rsl_dpcppo.algorithms.genpo.model import GenPOPolicy
from rsl_dpcppo.algorithms.genpopp.config import GenPOPlusPlusModelFields
from rsl_dpcppo.flow.reversible import ReversibleFlow
from rsl_dpcppo.flow.velocity import VelocityField


class GenPOPlusPlusPolicy(GenPOPolicy):
    """An action and the solver's state before it, made from two noises."""

    fields_class = GenPOPlusPlusModelFields

    def make_flow(self, velocity: VelocityField, fields: GenPOPlusPlusModelFields) -> ReversibleFlow:
        """Return the reversible flow."""
        return ReversibleFlow(velocity, fields.flow_steps, fields.flow_history)
