# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL 3.x's PPO as a learner asks for it."""

from __future__ import annotations

from collections.abc import Iterator
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


def make_host(alg: Any) -> contract.Host:
    """Return RSL-RL's PPO as a learner asks for it."""
    return Host(alg)


def find_model(alg: Any) -> FlowModel:
    """Return the flow model of RSL-RL's PPO."""
    return alg.policy


class Host(CommonHost):
    """Actor and critic are one module."""

    value_loss_name = "value" if Version("3.2") <= VERSION else "value_function"

    @property
    def policy(self) -> FlowPolicy:
        """The flow policy in the module."""
        return self._model.flow_policy

    @property
    def rnd_optimizer(self) -> torch.optim.Optimizer:
        """Optimizer of RND's predictor."""
        return self._alg.rnd_optimizer

    @property
    def is_recurrent(self) -> bool:
        """Whether policy or value function has a memory."""
        return self._model.is_recurrent

    def networks(self) -> tuple[nn.Module, ...]:
        """Return the module."""
        return (self._model,)

    def trained_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over actor and critic, but for what the policy keeps out."""
        kept_out = {id(parameter) for parameter in self.policy.untrained_parameters()}
        return (parameter for parameter in self._model.parameters() if id(parameter) not in kept_out)

    def symmetry(self) -> Symmetry | None:
        """Return the user's symmetry, where the fields ask for it."""
        settings = self._alg.symmetry
        return make_symmetry({**settings, "env": settings["_env"]}) if settings else None

    def mini_batches(self, num_mini_batches: int, num_epochs: int) -> Iterator[MiniBatch]:
        """Iterate over the rollout, shuffled once for all epochs."""
        generator = "recurrent_mini_batch_generator" if self.is_recurrent else "mini_batch_generator"
        for batch in getattr(self._alg.storage, generator)(num_mini_batches, num_epochs):
            observations, actions, values, advantages, returns, log_prob, mean, std, hidden_states, masks = batch
            yield make_batch(
                observations,
                self.policy.stored_name,
                masks,
                scalars={"values": values, "advantages": advantages, "returns": returns, "old_log_prob": log_prob},
                actions=actions,
                old_mean=mean,
                old_std=std,
                hidden_states=hidden_states,
            )

    def context(self, observations: TensorDict, masks: Tensor | None = None, hidden_state: Any = None) -> Tensor:
        """Return s, what the flow sees of the observations. Shape: [..., context_dim], without padding."""
        return self._model.context(observations, masks, hidden_state)

    def kernel(self, batch: MiniBatch) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the Gaussian around what was stored. Shapes: [..., num_actions]."""
        model = self._model
        model.act(batch.observations, masks=batch.masks, hidden_state=batch.hidden_states[0], stored=batch.stored)
        return model.action_mean, model.action_std

    def kernel_std(self) -> Tensor:
        """Return the Gaussian's standard deviation. Shape: [num_actions]."""
        return self._model.kernel_std()

    def widen_kernel(self, factor: Tensor) -> None:
        """Multiply the Gaussian's standard deviation, if it is trained. Shape: []."""
        self._model.widen_kernel(factor)

    def values(self, batch: MiniBatch) -> Tensor:
        """Return V(s). Shape: [...]."""
        # By position: the name of the last argument differs within 3.x, and only recurrent modules take it.
        recurrent = (batch.masks, batch.hidden_states[1]) if self.is_recurrent else ()
        return self._model.evaluate(batch.observations, *recurrent).squeeze(-1)

    def clip_gradients(self) -> None:
        """Clip the gradients' norm, of actor and critic together."""
        nn.utils.clip_grad_norm_(self._model.parameters(), self._alg.max_grad_norm)

    def update_normalizers(self) -> None:
        """Update the observation statistics from the rollout."""
        self._model.update_normalizers(self._alg.storage.observations.flatten(0, 1))

    @property
    def _model(self) -> Any:
        return find_model(self._alg)
