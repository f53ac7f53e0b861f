# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the algorithms share that train the flow itself."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from rsl_dpcppo.config.checks import check_no_entropy
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.learning.host import Host
from rsl_dpcppo.learning.on_policy import OnPolicyLearner
from rsl_dpcppo.learning.sampled_policy import SampledPolicy


class SampledLearner(OnPolicyLearner):
    """PPO that trains the flow which acts, and lets a copy of its weights play."""

    has_entropy: ClassVar[bool] = False
    """Whether the objective has an entropy bonus."""

    policy: SampledPolicy

    def __init__(self, host: Host, cfg: Any) -> None:
        """Build the learner; see :class:`~rsl_dpcppo.learning.on_policy.OnPolicyLearner`.

        Raises:
            ConfigError: If RSL-RL's fields ask for what the algorithm does not have.
        """
        super().__init__(host, cfg)
        if self.symmetry or host.is_recurrent:
            raise ConfigError(
                f"{self.name} knows neither symmetry nor models with memory; DPCPPO knows both. Leave out "
                "symmetry_cfg, and take a critic without memory."
            )
        if host.uses_mixed_precision:
            # Ratios compare losses or likelihoods from before and after a step, which half precision would blur.
            raise ConfigError(f"use_mixed_precision is True; {self.name} needs single precision: it must be False.")
        if not self.has_entropy:
            check_no_entropy(self.name, host.ppo.entropy_coef)

    @property
    def played_ema_decay(self) -> float:
        """Share of the weights that play which is kept in each iteration; 0 plays what was trained."""
        return 0.0

    def learn(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Learn, and move the weights that play to the new ones."""
        result = super().learn()
        self.policy.update_played(self.played_ema_decay)
        return result
