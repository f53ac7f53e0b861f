# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The update of DP-CPPO with rare folds."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.algorithms.dpcppo.algorithm import DPCPPOLearner
from rsl_dpcppo.algorithms.dpcppo_fold.config import DPCPPOFoldFields
from rsl_dpcppo.learning.host import Host

ERROR_STATES = 1024
"""States at which the error of a fold is measured."""


class DPCPPOFoldLearner(DPCPPOLearner):
    """PPO on the kernel around a flow that stays as it is, which takes the residual in once every ``fold_interval``.

    The paper fits the flow in every iteration, to samples of the kernel: that widens it by the kernel's noise each
    time, and leaves a residual in place that is now in the flow too. Here the flow is fitted to the kernel's mean, over
    the states of all rollouts since the last fold, each with the noise that it was made from; then the residual is zero
    again. In between, this is PPO whose state has the base action in it.
    """

    fields_class = DPCPPOFoldFields

    cfg: DPCPPOFoldFields

    def __init__(self, host: Host, cfg: DPCPPOFoldFields) -> None:
        """Build the learner, with a residual of zero; see :class:`~rsl_dpcppo.learning.on_policy.OnPolicyLearner`."""
        super().__init__(host, cfg)
        self.policy.head.zero_residual()
        self._states: list[TensorDict] = []
        self._fold_error = torch.zeros((), device=host.device)

    def fold_back(self, report: dict[str, Tensor], figures: dict[str, float]) -> None:
        """Remember the rollout's states, and fold if it is time."""
        self._states.append(self._sample_states())
        if len(self._states) == self.cfg.fold_interval:
            self._fold_error = self.fold()
            self._states = []
        report["fold_error"] = self._fold_error
        figures["fold_age"] = len(self._states)

    def fold(self) -> Tensor:
        """Fit the flow to the kernel's mean, and set the residual to zero.

        Returns:
            What the fit misses the mean by, root mean square over some states and the action. Shape: [].
        """
        context, target, noise = self._fit_samples()
        self._flow_fit.fit(context, target, noise if self.cfg.flow_noise == "kept" else None)
        some = torch.randperm(len(context), device=context.device)[:ERROR_STATES]
        with torch.no_grad():
            error = (self.policy.sample(context[some], noise[some]) - target[some]).square().mean().sqrt()
        for parameter in self.policy.head.zero_residual():
            moments = self.optimizer.state.get(parameter, {})
            for name in moments.keys() - {"step"}:
                moments[name].zero_()
        return error

    def _sample_states(self) -> TensorDict:
        """Return the observations of some states of the rollout. Batch size: [number of states]."""
        observations = self.host.rollout.observations.flatten(0, 1).exclude(self.policy.stored_name)
        if self.host.is_recurrent:
            return observations[:0]  # a memory's state is known for the last rollout alone
        number = max(1, self.cfg.fold_states // self.cfg.fold_interval)
        return observations[torch.randperm(len(observations), device=self.host.device)[:number]].clone()

    @torch.no_grad()
    def _fit_samples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return contexts s [batch, context_dim], the kernel's means [batch, num_actions] there, and their noise.

        Of models with memory, contexts are those of the last rollout. With symmetry augmentation the flow sees the
        mirrored pairs too.
        """
        if self.host.is_recurrent:
            return super()._fit_samples()
        observations: Any = torch.cat(self._states)  # type: ignore[arg-type, call-overload]
        context = self.host.context(observations)
        noise = self.policy.draw_noise(context)
        target = self._sample_improved(context, self.policy.sample(context, noise))
        return self._with_mirrored(observations, context, target, noise)

    def _sample_improved(self, context: Tensor, base_action: Tensor) -> Tensor:
        """Return the kernel's mean, with as much of its noise as ``fold_target_noise`` says."""
        mean = self.policy.head.kernel_mean(base_action, context)
        if self.cfg.fold_target_noise == 0.0:
            return mean
        return mean + self.cfg.fold_target_noise * self.host.kernel_std() * torch.randn_like(mean)

    def more_state(self) -> dict[str, Any]:
        """Return the states since the last fold too."""
        return {
            **super().more_state(),
            "fold_states": [states.to_dict() for states in self._states],
            "fold_error": self._fold_error,
        }

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`more_state` returned."""
        super().load_more_state(state)
        self._states = [
            TensorDict(states, batch_size=[len(next(iter(states.values())))], device=self.host.device)
            for states in state["fold_states"]
        ]
        self._fold_error = state["fold_error"].to(self.host.device)
