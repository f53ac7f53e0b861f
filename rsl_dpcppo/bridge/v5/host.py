# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL 5.x's PPO as a learner asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from packaging.version import Version
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.bridge.contract import FlowModel
from rsl_dpcppo.bridge.host import CommonHost, make_batch, make_symmetry
from rsl_dpcppo.bridge.version import VERSION
from rsl_dpcppo.learning import host as contract
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.policy import FlowPolicy
from rsl_dpcppo.learning.symmetry import Symmetry

NORMALIZES_IN_UPDATE = Version("5.5") <= VERSION
"""Up to 5.4 the critic's and RND's normalisers follow every environment step; from 5.5 every update."""


def make_host(alg: Any) -> contract.Host:
    """Return RSL-RL's PPO as a learner asks for it."""
    return Host(alg)


def find_model(alg: Any) -> FlowModel:
    """Return the flow model of RSL-RL's PPO, not compiled."""
    return getattr(alg, "_raw_actor", alg.actor)  # compiled models are from 5.1


class Host(CommonHost):
    """Actor and critic are models of their own."""

    value_loss_name = "value"

    @property
    def policy(self) -> FlowPolicy:
        """The flow policy in the actor."""
        return find_model(self._alg).flow_policy

    @property
    def rnd_optimizer(self) -> torch.optim.Optimizer:
        """Optimizer of RND's predictor, which has moved within 5.x."""
        return getattr(self._alg, "rnd_optimizer", None) or self._alg.rnd.optimizer

    @property
    def is_recurrent(self) -> bool:
        """Whether policy or value function has a memory."""
        return self._alg.actor.is_recurrent or self._alg.critic.is_recurrent

    def networks(self) -> tuple[nn.Module, ...]:
        """Return actor and critic."""
        return self._model, self._alg.critic

    def trained_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over actor and critic, but for what the policy keeps out."""
        kept_out = {id(parameter) for parameter in self.policy.untrained_parameters()}
        actor = (parameter for parameter in self._model.parameters() if id(parameter) not in kept_out)
        return chain(actor, self._alg.critic.parameters())

    def symmetry(self) -> Symmetry | None:
        """Return the user's symmetry, where the fields ask for it."""
        host = self._alg.symmetry
        if not host:
            return None
        settings: dict[str, Any] = dict(host if isinstance(host, dict) else vars(host))  # a dict up to 5.3
        settings.setdefault("env", settings.pop("_env", None))
        return make_symmetry(settings)

    def mini_batches(self, num_mini_batches: int, num_epochs: int) -> Iterator[MiniBatch]:
        """Iterate over the rollout, shuffled once for all epochs."""
        generator = "recurrent_mini_batch_generator" if self.is_recurrent else "mini_batch_generator"
        for batch in getattr(self._alg.storage, generator)(num_mini_batches, num_epochs):
            yield make_batch(
                batch.observations,
                self.policy.stored_name,
                batch.masks,
                scalars={
                    "values": batch.values,
                    "advantages": batch.advantages,
                    "returns": batch.returns,
                    "old_log_prob": batch.old_actions_log_prob,
                },
                actions=batch.actions,
                old_mean=batch.old_distribution_params[0],
                old_std=batch.old_distribution_params[1],
                hidden_states=batch.hidden_states,
            )

    def context(self, observations: TensorDict, masks: Tensor | None = None, hidden_state: Any = None) -> Tensor:
        """Return s, what the flow sees of the observations. Shape: [..., context_dim], without padding."""
        return self._model.context(observations, masks, hidden_state)

    def kernel(self, batch: MiniBatch) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the Gaussian around what was stored. Shapes: [..., num_actions]."""
        actor = self._alg.actor  # perhaps compiled
        actor(
            batch.observations,
            masks=batch.masks,
            hidden_state=batch.hidden_states[0],
            stochastic_output=True,
            stored=batch.stored,
        )
        return actor.output_mean, actor.output_std

    def kernel_std(self) -> Tensor:
        """Return the Gaussian's standard deviation, clamped as RSL-RL does. Shape: [num_actions]."""
        return self._model.kernel_std()

    def widen_kernel(self, factor: Tensor) -> None:
        """Multiply the Gaussian's standard deviation, if it is trained. Shape: []."""
        self._model.widen_kernel(factor)

    def values(self, batch: MiniBatch) -> Tensor:
        """Return V(s). Shape: [...]."""
        values = self._alg.critic(batch.observations, masks=batch.masks, hidden_state=batch.hidden_states[1])
        return values.squeeze(-1)

    def clip_gradients(self) -> None:
        """Clip the gradients' norm, of actor and critic each."""
        nn.utils.clip_grad_norm_(self._alg.actor.parameters(), self._alg.max_grad_norm)
        nn.utils.clip_grad_norm_(self._alg.critic.parameters(), self._alg.max_grad_norm)

    def update_normalizers(self) -> None:
        """Update the observation statistics from the rollout."""
        observations = self._alg.storage.observations.flatten(0, 1)
        self._model.update_normalizers(observations)
        if NORMALIZES_IN_UPDATE:
            self._alg.critic.update_normalization(observations)
            if self._alg.rnd:
                self._alg.rnd.update_normalization(observations)

    @property
    def _model(self) -> Any:
        return find_model(self._alg)
