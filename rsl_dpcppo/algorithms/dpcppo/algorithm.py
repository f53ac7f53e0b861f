# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO's update: Algorithm 1 of arXiv 2603.04790."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.algorithms.dpcppo import losses as terms
from rsl_dpcppo.algorithms.dpcppo.baseline import BaseActionBaseline
from rsl_dpcppo.algorithms.dpcppo.config import DPCPPOFields
from rsl_dpcppo.algorithms.dpcppo.model import KernelPolicy
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.flow.ema import ema_horizon
from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.fit import FitReport, FlowFit
from rsl_dpcppo.learning.host import Host
from rsl_dpcppo.learning.on_policy import OnPolicyLearner
from rsl_dpcppo.learning.step_size import make_optimizer
from rsl_dpcppo.metrics import energy_distance

GAP_STATES, GAP_SAMPLES = 64, 16
"""Size of the batch on which flow and improved policy are compared."""


class DPCPPOLearner(OnPolicyLearner):
    """PPO on a Gaussian kernel around a flow policy's base action, and flow matching to what it improved.

    One iteration: the rollout stores (s, a0, a); :meth:`improve` makes PPO's steps on the kernel p(a | a0, s);
    :meth:`fit` folds the improved policy back into the flow.
    """

    fields_class = DPCPPOFields
    policy_class = KernelPolicy

    policy: KernelPolicy
    cfg: DPCPPOFields

    def __init__(self, host: Host, cfg: DPCPPOFields) -> None:
        """Build the learner; see :class:`~rsl_dpcppo.learning.on_policy.OnPolicyLearner`."""
        super().__init__(host, cfg)
        if cfg.flow_steps:
            self.policy.head.set_num_steps(cfg.flow_steps)
        self.policy.low_precision = self._flow_dtype
        # The flow has an optimizer of its own: PPO's adaptive rate does not drive it.
        self.flow_optimizer = make_optimizer(
            torch.optim.Adam,
            [{"params": self.policy.velocity.parameters(), "lr": self.cfg.flow_learning_rate}],
        )
        self._flow_fit = FlowFit(
            self.policy.velocity,
            self.policy.head.flow.velocity,
            self.flow_optimizer,
            num_epochs=self.cfg.flow_num_epochs,
            num_mini_batches=self.cfg.flow_num_mini_batches,
            ema_decay=self.cfg.flow_ema_decay,
            tolerance=self.cfg.flow_fit_tolerance,
            average_across_ranks=self.average_across_ranks,
            autocast_dtype=torch.bfloat16 if self.host.uses_mixed_precision else self._flow_dtype,
            compile=self.mode,
        )
        self._baseline = self._make_baseline() if self.cfg.base_action_baseline else None

    def learn(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Improve the kernel, then fold the improvement back into the flow."""
        report, figures = super().learn()
        with self.clock.phase("fit"):
            self.fold_back(report, figures)
        return report, figures

    def fold_back(self, report: dict[str, Tensor], figures: dict[str, float]) -> None:
        """Fit the flow to the improved policy, and add to what is logged: losses on the device, and plain figures."""
        fit, report["flow_gap"] = self.fit()
        report |= {"flow_matching_first": fit.first_loss, "flow_matching_last": fit.last_loss}
        steps = fit.num_epochs * self.cfg.flow_num_mini_batches
        figures["flow_fit_epochs"] = fit.num_epochs
        figures["flow_ema_horizon"] = ema_horizon(self.cfg.flow_ema_decay, steps)

    def improve(self) -> dict[str, Tensor]:
        """Do PPO's epochs on the kernel p(a | a0, s): equation (16)."""
        if self._baseline:
            self._compare_around_base_actions(self._baseline)
        return super().improve()

    def _make_baseline(self) -> BaseActionBaseline:
        """Return the baseline, as wide as the flow.

        Raises:
            ConfigError: If the model has a memory, or there are several processes.
        """
        if self.host.is_recurrent or self.host.is_multi_gpu:
            raise ConfigError(
                "base_action_baseline is True; it must be False for models with memory, and on several processes."
            )
        head = self.policy.head
        widths = [layer.out_features for layer in self.policy.velocity.modules() if isinstance(layer, nn.Linear)]
        num_features = head.features(head.fixed_noise).shape[-1]
        return BaseActionBaseline(head.in_features + num_features, widths[:-1], self.host.device)

    def _compare_around_base_actions(self, baseline: BaseActionBaseline) -> None:
        """Take from the rollout's advantages what their base actions explain, and learn from them what that is."""
        rollout = self.host.rollout
        observations = rollout.observations.flatten(0, 1)
        with torch.no_grad():
            features = self.policy.head.features(observations[self.policy.stored_name])
            inputs = torch.cat((self.host.context(observations), features), dim=-1)
        advantages = objective.standardized((rollout.returns - rollout.values).flatten(0, 1))
        rollout.advantages = baseline.centre(inputs, advantages).view_as(rollout.advantages)
        baseline.fit(inputs, advantages)

    def losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the terms of the objective on a mini-batch, and the kernel's divergence from the rollout's."""
        size, observations = batch.size, batch.observations
        if self.symmetry and self.symmetry.use_data_augmentation:
            batch = self.symmetry.mirror_batch(batch)
        mean, std = (output.float() for output in self.host.kernel(batch))
        losses = {
            self.host.value_loss_name: self.value_loss(batch),
            "surrogate": objective.clipped_surrogate(
                terms.gaussian_log_prob(batch.actions, mean, std),
                batch.old_log_prob,
                batch.advantages,
                self.host.ppo.clip_param,
            ),
            "entropy": terms.conditional_entropy(std[:size]).mean(),
            "score": terms.score_regularization(mean - batch.stored, std, batch.stored),
        }
        with torch.no_grad():
            kl = terms.gaussian_kl(batch.old_mean, batch.old_std, mean[:size], std[:size]).mean()
        if self.symmetry:
            losses["symmetry"] = self._mirror_loss(batch, observations, mean, size)
        return losses, kl

    def weights(self) -> dict[str, float]:
        """Return the weights of equation (16), of PPO's value loss, and of the mirror loss if RSL-RL's fields ask."""
        weights = {
            **super().weights(),
            "entropy": -self.host.ppo.entropy_coef,
            "score": self.cfg.score_coef,
        }
        if self.symmetry and self.symmetry.use_mirror_loss:
            weights["symmetry"] = self.symmetry.mirror_loss_coeff
        return weights

    def _mirror_loss(self, batch: MiniBatch, observations: TensorDict, mean: Tensor, size: int) -> Tensor:
        """Return the mirror loss; evaluates the kernel on the mirrored states unless the batch has them already."""
        assert self.symmetry is not None
        if not self.symmetry.use_data_augmentation:
            mirrored = dataclasses.replace(
                batch,
                observations=self.symmetry.mirror_observations(observations),
                stored=self.symmetry.mirror_actions(batch.stored),
            )
            mean = self.host.kernel(mirrored)[0]
        loss = self.symmetry.mirror_loss(mean, size)
        return loss if self.symmetry.use_mirror_loss else loss.detach()

    def fit(self) -> tuple[FitReport, Tensor]:
        """Fit the flow to the improved policy: equation (12) on a1 from the flow and the improved kernel.

        Returns:
            The fit's report, and the gap that it leaves: the energy distance between improved policy and new flow at
            some states of the rollout.
        """
        context, target, noise = self._fit_samples()
        states = context[:GAP_STATES].repeat_interleave(GAP_SAMPLES, dim=0)
        with torch.no_grad():
            improved = self._sample_improved(states, self.policy.sample(states))
        report = self._flow_fit.fit(context, target, noise if self.cfg.flow_noise == "kept" else None)
        with torch.no_grad():
            fitted = self.policy.sample(states)
        shape = (-1, GAP_SAMPLES, fitted.shape[-1])
        return report, energy_distance(improved.view(shape), fitted.view(shape))

    @torch.no_grad()
    def _fit_samples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return contexts s [batch, context_dim], actions a1 [batch, num_actions] of the improved policy, and noise.

        The noise [batch, num_actions] is the one that the flow made a1's base action from, unless that was stored. With
        symmetry augmentation the flow sees the mirrored pairs too.
        """
        samples = []
        for batch in self.host.mini_batches(self.host.ppo.num_mini_batches, num_epochs=1):
            context = self.host.context(batch.observations, batch.masks, batch.hidden_states[0])
            context, base_action = context.flatten(0, -2), batch.stored.flatten(0, -2)
            noise = self.policy.draw_noise(context)
            if self.cfg.flow_target == "fresh":
                base_action = self.policy.sample(context, noise)
            target = self._sample_improved(context, base_action)
            samples.append(self._with_mirrored(batch.observations, context, target, noise))
        contexts, targets, noises = (torch.cat(tensors) for tensors in zip(*samples, strict=True))
        return contexts, targets, noises

    def _with_mirrored(
        self, observations: TensorDict, context: Tensor, target: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return contexts, targets and noise of the fit with their mirrored copies, if symmetry augments the data."""
        if not (self.symmetry and self.symmetry.use_data_augmentation):
            return context, target, noise
        context = self.host.context(self.symmetry.mirror_observations(observations))
        return context, self.symmetry.mirror_actions(target), self.symmetry.mirror_actions(noise)

    def _sample_improved(self, context: Tensor, base_action: Tensor) -> Tensor:
        """Sample a1 from the improved kernel (8). Shape: [batch, num_actions]."""
        mean = self.policy.head.kernel_mean(base_action, context)
        return mean + self.host.kernel_std() * torch.randn_like(mean)

    @property
    def _flow_dtype(self) -> torch.dtype | None:
        return torch.bfloat16 if self.cfg.flow_precision == "bfloat16" else None

    def more_state(self) -> dict[str, Any]:
        """Return the state of the flow's optimizer and of the baseline too."""
        state = {**super().more_state(), "flow_optimizer": self.flow_optimizer.state_dict()}
        if self._baseline:
            state["baseline"] = self._baseline.state_dict()
        return state

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`more_state` returned."""
        super().load_more_state(state)
        self.flow_optimizer.load_state_dict(state["flow_optimizer"])
        self._flow_fit.forget_recorded_steps()  # the optimizer has new tensors now
        if self._baseline and "baseline" in state:
            self._baseline.load_state_dict(state["baseline"])
