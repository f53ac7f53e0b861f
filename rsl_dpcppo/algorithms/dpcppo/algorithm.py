# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO's update: Algorithm 1 of arXiv 2603.04790."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rsl_dpcppo.algorithms.dpcppo import losses as terms
from rsl_dpcppo.algorithms.dpcppo.baseline import BaseActionBaseline
from rsl_dpcppo.algorithms.dpcppo.config import DPCPPOFields
from rsl_dpcppo.algorithms.dpcppo.kernel import KernelLearner
from rsl_dpcppo.algorithms.dpcppo.model import KernelPolicy
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.flow.ema import ema_horizon
from rsl_dpcppo.flow.likelihood import mixture_entropy_bounds, sample_with_log_prob
from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.fit import FitReport, FlowFit
from rsl_dpcppo.learning.gaussian import gaussian_log_prob
from rsl_dpcppo.learning.host import Host
from rsl_dpcppo.metrics import energy_distance

GAP_STATES, GAP_SAMPLES = 64, 16
"""Size of the batch on which flow and improved policy are compared."""

ENTROPY_STATES, ENTROPY_SAMPLES = 64, 64
"""Size of the batch on which the policy's entropy is estimated."""


class DPCPPOLearner(KernelLearner):
    """PPO on a Gaussian kernel around a flow policy's base action, and flow matching to what it improved.

    One iteration: the rollout stores (s, a0, a); :meth:`improve` makes PPO's steps on the kernel p(a | a0, s);
    :meth:`fit` folds the improved policy back into the flow.
    """

    fields_class = DPCPPOFields
    policy_class = KernelPolicy

    cfg: DPCPPOFields

    def __init__(self, host: Host, cfg: DPCPPOFields) -> None:
        """Build the learner; see :class:`~rsl_dpcppo.learning.on_policy.OnPolicyLearner`."""
        super().__init__(host, cfg)
        self._baseline = self._make_baseline() if self.cfg.base_action_baseline else None

    def make_fit(self, **settings: Any) -> FlowFit:
        """Return the fit of Table 5, in which the averaged weights act."""
        return FlowFit(
            self.policy.velocity,
            self.policy.head.flow.velocity,
            ema_decay=self.cfg.flow_ema_decay,
            tolerance=self.cfg.flow_fit_tolerance,
            **settings,
        )

    def fold_back(self, report: dict[str, Tensor], figures: dict[str, float]) -> None:
        """Fit the flow to the improved policy, and add to what is logged: losses on the device, and plain figures."""
        fit, measured = self.fit()
        report |= measured
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

    def more_losses(self, batch: MiniBatch, mean: Tensor, std: Tensor) -> dict[str, Tensor]:
        """Return the score regulariser."""
        return {"score": terms.score_regularization(mean - batch.stored, std, batch.stored)}

    def weights(self) -> dict[str, float]:
        """Return the weights of equation (16) too."""
        return {**super().weights(), "score": self.cfg.score_coef}

    def fit(self) -> tuple[FitReport, dict[str, Tensor]]:
        """Fit the flow to the improved policy: equation (12) on a1 from the flow and the improved kernel.

        Returns:
            The fit's report, and what was measured at some states of the rollout: the gap that it leaves, which is the
            energy distance between improved policy and new flow, and the entropies where they are asked for.
        """
        context, target, noise = self._fit_samples()
        states = context[:GAP_STATES].repeat_interleave(GAP_SAMPLES, dim=0)
        with torch.no_grad():
            improved = self._sample_improved(states, self.policy.sample(states))
        report = self._flow_fit.fit(context, target, noise if self.cfg.flow_noise == "kept" else None)
        with torch.no_grad():
            fitted = self.policy.sample(states)
        shape = (-1, GAP_SAMPLES, fitted.shape[-1])
        measured = {"flow_gap": energy_distance(improved.view(shape), fitted.view(shape))}
        if self.cfg.log_entropy:
            measured |= self.entropies(context[:ENTROPY_STATES])
        return report, measured

    @torch.no_grad()
    def entropies(self, context: Tensor) -> dict[str, Tensor]:
        """Estimate the entropy of the policy that acts next, in nats, averaged over states.

        The kernel's own is the bound of equation (14). Random numbers are those that come next, and stay unused: a run
        does not depend on what is logged.

        Args:
            context: s. Shape: [num_states, context_dim].

        Returns:
            ``entropy_flow`` of the base actions, by the flow's divergence; ``entropy_policy`` of the actions, a lower
            bound, and ``entropy_policy_upper``, by base actions of the same state. Shape of each: [].
        """
        states, head = context.repeat_interleave(ENTROPY_SAMPLES, dim=0), self.policy.head
        devices = [states.device] if states.is_cuda else []
        with torch.random.fork_rng(devices):
            base_action, flow_log_prob = sample_with_log_prob(head.flow, self.policy.draw_noise(states), states)
            mean, std = head.kernel_mean(base_action, states), self.host.kernel_std()
            action = mean + std * torch.randn_like(mean)
        action, mean = (x.view(len(context), ENTROPY_SAMPLES, -1) for x in (action, mean))
        log_probs = gaussian_log_prob(action.unsqueeze(2), mean.unsqueeze(1), std)  # of action i around base action j
        lower, upper = mixture_entropy_bounds(log_probs)
        return {
            "entropy_flow": -flow_log_prob.mean(),
            "entropy_policy": lower.mean(),
            "entropy_policy_upper": upper.mean(),
        }

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
            samples.append(self.with_mirrored(batch.observations, context, target, noise))
        contexts, targets, noises = (torch.cat(tensors) for tensors in zip(*samples, strict=True))
        return contexts, targets, noises

    def _sample_improved(self, context: Tensor, base_action: Tensor) -> Tensor:
        """Sample a1 from the improved kernel (8). Shape: [batch, num_actions]."""
        mean = self.policy.head.kernel_mean(base_action, context)
        return mean + self.host.kernel_std() * torch.randn_like(mean)

    def more_state(self) -> dict[str, Any]:
        """Return the state of the baseline too."""
        state = super().more_state()
        if self._baseline:
            state["baseline"] = self._baseline.state_dict()
        return state

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`more_state` returned."""
        super().load_more_state(state)
        if self._baseline and "baseline" in state:
            self._baseline.load_state_dict(state["baseline"])
