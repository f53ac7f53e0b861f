# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The update of DP-CPPO with rare folds."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.algorithms.dpcppo.kernel import KernelLearner
from rsl_dpcppo.algorithms.dpcppo_fold.config import ERROR_STATES, LARGEST_RATE, DPCPPOFoldFields
from rsl_dpcppo.algorithms.dpcppo_fold.model import NoiseKernelPolicy
from rsl_dpcppo.flow.ema import update_ema
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.fit import FlowFit
from rsl_dpcppo.learning.gaussian import Gaussian, gaussian_kl, gaussian_log_prob
from rsl_dpcppo.learning.host import Host

MOMENTUM = ("exp_avg", "momentum_buffer")
"""What optimizers call the average of the gradients. A fold stops it, and leaves that of their squares: the first steps
after a fold are to be no larger than those before it."""


class DPCPPOFoldLearner(KernelLearner):
    """PPO on noise and action around a flow that stays as it is, and takes both in once every ``fold_interval``.

    The policy between two folds is n ~ N(nu(s), tau^2), a0 = flow(n, s), a ~ N(a0 + mu(a0, s), sigma^2), and PPO's
    ratio is that of p(n | s) p(a | a0, s): whatever the noise brought in is credited to nu and tau, as the kernel's is
    to mu and sigma. A fold fits the flow to the mean action of each standard noise, at the states of all rollouts since
    the last; then nu and mu are zero and tau is one again.

    The paper (arXiv 2603.04790) has a standard n, and fits the flow in every iteration to samples of the kernel.
    """

    fields_class = DPCPPOFoldFields
    policy_class = NoiseKernelPolicy

    policy: NoiseKernelPolicy
    cfg: DPCPPOFoldFields

    def __init__(self, host: Host, cfg: DPCPPOFoldFields) -> None:
        """Build the learner; see :class:`~rsl_dpcppo.learning.on_policy.OnPolicyLearner`."""
        super().__init__(host, cfg)
        self.policy.head.residual_unit.copy_(host.kernel_std().detach())
        self._states: list[TensorDict] = []
        self._report = {name: torch.zeros((), device=host.device) for name in ("fold_error", "fold_made")}

    def make_flow_rate(self) -> Tensor:
        """Return the step size of the flow's optimizer, on the device: it falls within each fold."""
        return torch.tensor(self.cfg.flow_learning_rate, device=self.host.device)

    def make_fit(self, **settings: Any) -> FlowFit:
        """Return a fit of the live field alone, which starts to act when a fold is made."""
        return FlowFit(self.policy.velocity, None, annealed=True, **settings)

    @property
    def adapts_each_step(self) -> bool:
        """Whether the fields ask for RSL-RL's rule."""
        return self.cfg.last_epoch_kl == 0.0

    @property
    def desired_kl(self) -> float | None:
        """The divergence that the step size aims at: of a mini-batch with RSL-RL's rule, or of the last epoch.

        Ratios typically reach the clip at clip_param^2 / 2. A small clip keeps the divergence below RSL-RL's field
        whatever the step size, which would rise to its bound.
        """
        desired, clip_param = super().desired_kl, self.host.ppo.clip_param
        if desired is None:
            return None
        if self.adapts_each_step:
            return min(desired, clip_param**2 / 2.0)
        return min(self.cfg.last_epoch_kl * desired, clip_param**2)

    @property
    def largest_rate(self) -> float:
        """RSL-RL's bound, or a smaller one where nothing corrects a step that was too large before the epochs end."""
        return super().largest_rate if self.adapts_each_step else LARGEST_RATE

    @torch.no_grad()
    def prepare(self, batch: MiniBatch) -> MiniBatch:
        """Return a mini-batch whose density is that of noise and action."""
        _, noise, noise_mean = self.policy.split(batch.stored)
        noise_std = self.policy.head.noise.std.expand_as(noise).clone()
        return dataclasses.replace(
            batch,
            old_log_prob=batch.old_log_prob + gaussian_log_prob(noise, noise_mean, noise_std),
            prepared={"noise_std": noise_std},
        )

    def gaussians(self, batch: MiniBatch, mean: Tensor, std: Tensor) -> list[Gaussian]:
        """Return the kernel, and the Gaussian of the noise."""
        _, noise, old_mean = self.policy.split(batch.stored)
        noise_mean = self.policy.noise_mean.float()
        noise_std = self.policy.head.noise.std.expand_as(noise)
        return [
            *super().gaussians(batch, mean, std),
            Gaussian(noise, noise_mean, noise_std, old_mean, batch.prepared["noise_std"]),
        ]

    def more_losses(self, batch: MiniBatch, mean: Tensor, std: Tensor) -> dict[str, Tensor]:
        """Return the divergence of the noise from the standard one."""
        if self.cfg.noise_kl_coef == 0.0:
            return {}
        noise_mean = self.policy.noise_mean.float()
        noise_std = self.policy.head.noise.std.expand_as(noise_mean)
        standard = torch.zeros_like(noise_mean), torch.ones_like(noise_mean)
        return {"noise_kl": gaussian_kl(noise_mean, noise_std, *standard).mean()}

    def weights(self) -> dict[str, float]:
        """Return the weight of the noise's divergence too, if it has one."""
        weight = self.cfg.noise_kl_coef
        return {**super().weights(), **({"noise_kl": weight} if weight else {})}

    def fold_back(self, report: dict[str, Tensor], figures: dict[str, float]) -> None:
        """Remember states of the rollout, and fold if it is time."""
        report["noise_std"] = self.policy.head.noise.std.detach().mean()
        self._states.append(self._sample_states())
        if len(self._states) == self.cfg.fold_interval:
            self.fold()
            self._states = []
        report |= self._report
        figures["fold_age"] = len(self._states)

    def fold(self) -> None:
        """Fit the flow to the policy's mean action; if it is near enough, let it act, with nothing on top of it.

        The kernel is then no narrower than what the flow misses. Else PPO makes it ever narrower on long runs, and the
        steps that it may make as small, until no fold is near enough.
        """
        context, target, noise = self._fit_samples()
        self._flow_fit.fit(context, target, noise)
        some = torch.randperm(len(context), device=context.device)[:ERROR_STATES]
        with torch.no_grad():
            acting = list(self.policy.head.flow.parameters())
            before = [weight.clone() for weight in acting]
            update_ema(self.policy.head.flow, self.policy.velocity, decay=0.0)
            deviation = self.host.kernel_std()
            missed = (self.policy.carry(noise[some], context[some]) - target[some]) / deviation
            error = missed.square().mean().sqrt()
            self.average_across_ranks([error])
            made = error <= self.cfg.fold_tolerance  # decided on the device: nothing waits for it
            for weight, old in zip(acting, before, strict=True):
                weight.copy_(torch.where(made, weight, old))
            # PPO has to be able to take back what the flow now does otherwise.
            self.host.widen_kernel(torch.where(made, error.clamp(min=1.0), 1.0))
            # Only where mu is zero may its unit change: what acts would change with it.
            unit = self.policy.head.residual_unit
            unit.copy_(torch.where(made, self.host.kernel_std(), unit))
            for parameter in self.policy.head.last_parameters():
                parameter.mul_(~made)
                for name, moment in self.optimizer.state[parameter].items():
                    if name in MOMENTUM and moment is not None:
                        moment.mul_(~made)
        self._report = {"fold_error": error, "fold_made": made.float()}

    def _sample_states(self) -> TensorDict:
        """Return the observations of some states of the rollout, and what was stored. Batch size: [number]."""
        observations = self.host.rollout.observations.flatten(0, 1)
        number = self._num_states()
        return observations[torch.randperm(len(observations), device=self.host.device)[:number]].clone()

    def _num_states(self) -> int:
        """Return how many states of each rollout a fold is fitted on; 0 if on all of the last."""
        rollout = self.host.rollout
        # A memory's state is known for the last rollout alone, and images of several would fill memory and checkpoints.
        if self.host.is_recurrent or any(group.dim() > 3 for group in rollout.observations.values()):
            return 0
        return min(rollout.rewards.numel(), max(1, self.cfg.fold_states // self.cfg.fold_interval))

    def num_fit_samples(self) -> int:
        """Return how many samples a fold is fitted to, without their mirrored copies."""
        return self.cfg.fold_interval * self._num_states() or super().num_fit_samples()

    @torch.no_grad()
    def _fit_samples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return contexts s [batch, context_dim], mean actions [batch, num_actions] there, and their standard noise.

        Of models with memory or images they are those of the last rollout. With symmetry augmentation the flow sees the
        mirrored triples too.
        """
        states: Any = torch.cat(self._states)  # type: ignore[arg-type, call-overload]
        if len(states) > 0:
            observations = states.exclude(self.policy.stored_name)
            return self._mean_actions(observations, self.host.context(observations), states[self.policy.stored_name])
        samples = []
        for batch in self.host.mini_batches(self.host.ppo.num_mini_batches, num_epochs=1):
            context = self.host.context(batch.observations, batch.masks, batch.hidden_states[0])
            samples.append(self._mean_actions(batch.observations, context.flatten(0, -2), batch.stored.flatten(0, -2)))
        contexts, targets, noises = (torch.cat(tensors) for tensors in zip(*samples, strict=True))
        return contexts, targets, noises

    def _mean_actions(self, observations: TensorDict, context: Tensor, stored: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return contexts, a0 + mu(a0, s) and the standard noise of a0, with the mirrored triples."""
        base_action, noise, _ = self.policy.split(stored)
        target = self.policy.head.kernel_mean(base_action, context)
        return self.with_mirrored(observations, context, target, self.policy.head.noise.standardized(noise, context))

    def more_state(self) -> dict[str, Any]:
        """Return the states since the last fold too."""
        return {
            **super().more_state(),
            "fold_states": [states.to_dict() for states in self._states],
            "fold_report": self._report,
        }

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`more_state` returned."""
        super().load_more_state(state)
        self._states = [
            TensorDict(states, batch_size=[len(next(iter(states.values())))], device=self.host.device)
            for states in state["fold_states"]
        ]
        self._report = {name: value.to(self.host.device) for name, value in state["fold_report"].items()}
