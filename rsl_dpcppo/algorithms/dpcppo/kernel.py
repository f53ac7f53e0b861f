# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PPO on the Gaussian around a flow's base action: what DP-CPPO does, however it folds the improvement back."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.algorithms.dpcppo.config import FlowFitFields
from rsl_dpcppo.algorithms.dpcppo.model import KernelPolicy
from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.fit import FlowFit
from rsl_dpcppo.learning.gaussian import Gaussian, gaussian_entropy, gaussian_kl, gaussian_log_prob
from rsl_dpcppo.learning.host import Host
from rsl_dpcppo.learning.on_policy import OnPolicyLearner
from rsl_dpcppo.learning.sizes import check_fit, num_dealt
from rsl_dpcppo.learning.step_size import make_optimizer, set_rate


class KernelLearner(OnPolicyLearner):
    """PPO on the kernel p(a | a0, s), and a flow with an optimizer of its own.

    A subclass says how the flow is fitted (:meth:`make_fit`) and when (:meth:`fold_back`).
    """

    policy: KernelPolicy
    cfg: FlowFitFields

    def __init__(self, host: Host, cfg: FlowFitFields) -> None:
        """Build the learner; see :class:`~rsl_dpcppo.learning.on_policy.OnPolicyLearner`."""
        super().__init__(host, cfg)
        if cfg.flow_steps:
            self.policy.head.set_num_steps(cfg.flow_steps)
        self.policy.low_precision = self._flow_dtype
        # The flow has an optimizer of its own: PPO's adaptive rate does not drive it.
        self.flow_rate = self.make_flow_rate()
        self.flow_optimizer = make_optimizer(
            torch.optim.Adam, [{"params": self.policy.velocity.parameters(), "lr": self.flow_rate}]
        )
        self._flow_fit = self.make_fit(
            optimizer=self.flow_optimizer,
            num_epochs=self.cfg.flow_num_epochs,
            num_mini_batches=self.cfg.flow_num_mini_batches,
            average_across_ranks=self.average_across_ranks,
            autocast_dtype=torch.bfloat16 if self.host.uses_mixed_precision else self._flow_dtype,
            compile=self.mode,
        )

    def make_flow_rate(self) -> float | Tensor:
        """Return the step size of the flow's optimizer."""
        return self.cfg.flow_learning_rate

    def make_fit(self, **settings: Any) -> FlowFit:
        """Return what fits the flow, with these settings and the algorithm's own."""
        raise NotImplementedError

    def fold_back(self, report: dict[str, Tensor], figures: dict[str, float]) -> None:
        """Fold the improvement back into the flow, and add to what is logged.

        Args:
            report: Losses, on the device.
            figures: Plain figures.
        """
        raise NotImplementedError

    def check_sizes(self) -> None:
        """Refuse more mini-batches of the fit than it has samples, too."""
        super().check_sizes()
        copies = 1
        if self.symmetry and self.symmetry.use_data_augmentation:
            action = torch.zeros(1, self.policy.head.num_actions, device=self.host.device)
            copies = len(self.symmetry.mirror_actions(action))
        check_fit(self.cfg.flow_num_mini_batches, copies * self.num_fit_samples())

    def num_fit_samples(self) -> int:
        """Return how many samples the flow is fitted to, without their mirrored copies: those of a rollout."""
        return num_dealt(self.host)

    def learn(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Improve the kernel, then fold the improvement back into the flow."""
        report, figures = super().learn()
        with self.clock.phase("fit"):
            self.fold_back(report, figures)
        return report, figures

    def losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the terms of the objective on a mini-batch, and the largest divergence from the rollout's policy."""
        size, observations = batch.size, batch.observations
        if self.symmetry and self.symmetry.use_data_augmentation:
            batch = self.symmetry.mirror_batch(batch)
        mean, std = (output.float() for output in self.host.kernel(batch))
        gaussians = self.gaussians(batch, mean, std)
        log_probs = [gaussian_log_prob(gaussian.value, gaussian.mean, gaussian.std) for gaussian in gaussians]
        entropies = [gaussian_entropy(gaussian.std[:size]).mean() for gaussian in gaussians]
        losses = {
            self.host.value_loss_name: self.value_loss(batch),
            "surrogate": objective.clipped_surrogate(
                sum(log_probs[1:], log_probs[0]), batch.old_log_prob, batch.advantages, self.host.ppo.clip_param
            ),
            "entropy": sum(entropies[1:], entropies[0]),
            **self.more_losses(batch, mean, std),
        }
        with torch.no_grad():
            divergences = [
                gaussian_kl(x.old_mean[:size], x.old_std[:size], x.mean[:size], x.std[:size]).mean() for x in gaussians
            ]
        if self.symmetry:
            losses["symmetry"] = self._mirror_loss(batch, observations, mean, size)
        return losses, torch.stack(divergences).amax()

    def gaussians(self, batch: MiniBatch, mean: Tensor, std: Tensor) -> list[Gaussian]:
        """Return the Gaussians that the ratio of the objective is of: the kernel.

        Args:
            batch: The mini-batch, with its mirrored copies if there are any.
            mean: a0 + mu(a0, s). Shape: [..., num_actions].
            std: Standard deviation of the kernel. Shape: [..., num_actions].
        """
        return [Gaussian(batch.actions, mean, std, batch.old_mean, batch.old_std)]

    def more_losses(self, batch: MiniBatch, mean: Tensor, std: Tensor) -> dict[str, Tensor]:
        """Return the terms that an algorithm adds; arguments as of :meth:`gaussians`."""
        return {}

    def weights(self) -> dict[str, float]:
        """Return the weights of PPO's losses, of the entropy, and of the mirror loss if RSL-RL's fields ask."""
        weights = {**super().weights(), "entropy": -self.host.ppo.entropy_coef}
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
                stored=self.symmetry.mirror_stored(batch.stored, mean.shape[-1]),
            )
            mean = self.host.kernel(mirrored)[0]
        loss = self.symmetry.mirror_loss(mean, size)
        return loss if self.symmetry.use_mirror_loss else loss.detach()

    def with_mirrored(
        self, observations: TensorDict, context: Tensor, target: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return contexts, targets and noise of the fit with their mirrored copies, if symmetry augments the data."""
        if not (self.symmetry and self.symmetry.use_data_augmentation):
            return context, target, noise
        context = self.host.context(self.symmetry.mirror_observations(observations))
        return context, self.symmetry.mirror_actions(target), self.symmetry.mirror_actions(noise)

    @property
    def _flow_dtype(self) -> torch.dtype | None:
        return torch.bfloat16 if self.cfg.flow_precision == "bfloat16" else None

    def take_rate(self, field: str, value: float) -> None:
        """Go on with another step size than the checkpoint's; the flow's is "flow_learning_rate"."""
        super().take_rate(field, value)
        if field == "flow_learning_rate":
            set_rate(self.flow_optimizer.param_groups[0], value)

    def more_state(self) -> dict[str, Any]:
        """Return the state of the flow's optimizer too."""
        return {**super().more_state(), "flow_optimizer": self.flow_optimizer.state_dict()}

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`more_state` returned."""
        super().load_more_state(state)
        self.flow_optimizer.load_state_dict(state["flow_optimizer"])
        if isinstance(self.flow_rate, Tensor):  # the optimizer has one of the file's now
            self.flow_rate.fill_(float(self.flow_optimizer.param_groups[0]["lr"]))
            self.flow_optimizer.param_groups[0]["lr"] = self.flow_rate
        self._flow_fit.forget_recorded_steps()  # the optimizer has new tensors now
