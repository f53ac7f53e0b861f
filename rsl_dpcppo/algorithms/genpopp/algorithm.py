# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO++'s update."""

from __future__ import annotations

from rsl_dpcppo.algorithms.genpo.likelihood import LikelihoodLearner
from rsl_dpcppo.algorithms.genpopp.model import GenPOPlusPlusPolicy
from rsl_dpcppo.config.learner import LearnerFields


class GenPOPlusPlusLearner(LikelihoodLearner):
    """PPO with the exact likelihood of an action and the solver's state before it.

    With the constant determinant the ratio is that of the two noises that the flow, run backward, makes of them.
    """

    fields_class = LearnerFields
    policy_class = GenPOPlusPlusPolicy
