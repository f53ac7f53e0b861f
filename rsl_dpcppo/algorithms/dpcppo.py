# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO, Algorithm 1 of "Diffusion Policy through Conditional PPO" (arXiv 2603.04790)."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.algorithms import objective
from rsl_dpcppo.algorithms.baseline import BaseActionBaseline
from rsl_dpcppo.compilation import Compiled, PinnedBuffers, resolve_mode
from rsl_dpcppo.config import DPCPPOFields
from rsl_dpcppo.errors import CheckpointError, ConfigError, NonFiniteError, check_fields
from rsl_dpcppo.flow.matching import FitReport, FlowFit, ema_horizon
from rsl_dpcppo.hosts.rsl_rl.batch import MiniBatch
from rsl_dpcppo.hosts.rsl_rl.installed import FLOW_MODEL, MODEL_FIELD, HostPPO
from rsl_dpcppo.hosts.rsl_rl.ranks import average_across_ranks
from rsl_dpcppo.metrics import Stopwatch, energy_distance
from rsl_dpcppo.policy.flow_model import BASE_ACTION, FlowModel

LEARNER_STATE = "dpcppo"
"""Key in the optimizer's state dict for all that RSL-RL's checkpoints have no place for."""

GAP_STATES, GAP_SAMPLES = 64, 16
"""Size of the batch on which flow and improved policy are compared."""


class DPCPPO(HostPPO):
    """PPO on a Gaussian kernel around a flow policy's base action, and flow matching to what it improved.

    One iteration: the rollout stores (s, a0, a); :meth:`_improve` makes PPO's steps on the kernel p(a | a0, s);
    :meth:`_fit` folds the improved policy back into the flow. Fields: those of RSL-RL's PPO and of
    :class:`~rsl_dpcppo.config.DPCPPOFields`.
    """

    optimizer: torch.optim.Optimizer
    """Optimizer of the kernel and the value function. The flow has its own."""

    def __init__(self, *models_and_storage: Any, **fields: Any) -> None:
        """Build the algorithm as RSL-RL builds its PPO.

        Args:
            models_and_storage: What the runner passes by position: policy (3.x), or actor, critic and storage (5.x).
            fields: The algorithm's fields.

        Raises:
            ConfigError: If a field is unknown or wrong, or the model is not a flow policy.
        """
        known = inspect.signature(super().__init__).parameters
        check_fields(type(self).__name__, fields, {*known, *DPCPPOFields.__dataclass_fields__})
        ours = {name: value for name, value in fields.items() if name in DPCPPOFields.__dataclass_fields__}
        self.flow_cfg = DPCPPOFields(**ours)
        if not isinstance(models_and_storage[0], FlowModel):
            raise ConfigError(
                f"DPCPPO needs a flow policy, and {MODEL_FIELD} is {type(models_and_storage[0]).__name__}. "
                f"Take {FLOW_MODEL}."
            )
        super().__init__(*models_and_storage, **{name: value for name, value in fields.items() if name not in ours})
        if self.flow_cfg.flow_steps:
            self.model.head.flow.num_steps = self.flow_cfg.flow_steps

        # PPO's own optimizer would hold the flow too, and its adaptive rate would drive it.
        self._rate = torch.tensor(self.learning_rate, device=self.device)
        self.optimizer = _optimizer(type(self.optimizer), self._trained_parameters(), self._rate)
        self.flow_optimizer = _optimizer(
            torch.optim.Adam, self.model.velocity.parameters(), self.flow_cfg.flow_learning_rate
        )
        # RSL-RL saves and restores the optimizer in every version; the rest of the learner travels with it.
        self.optimizer.register_state_dict_post_hook(self._add_learner_state)
        self.optimizer.register_load_state_dict_pre_hook(self._load_learner_state)
        self.optimizer.register_load_state_dict_post_hook(self._share_learning_rate)
        self._random_state_to_restore: dict[str, Tensor] | None = None

        self._mirror = self._resolve_symmetry()
        mode = self._compile_mode()
        self.model.solve = Compiled(self.model.head.flow, mode)
        self.model.solve_dtype = self._flow_dtype
        self._gradient_step = Compiled(self._plain_gradient_step, mode if mode == "cudagraph" else "none")
        self._pinned_buffers = PinnedBuffers(*self._networks())
        self._flow_fit = FlowFit(
            self.model.velocity,
            self.model.head.flow.velocity,
            self.flow_optimizer,
            num_epochs=self.flow_cfg.flow_num_epochs,
            num_mini_batches=self.flow_cfg.flow_num_mini_batches,
            ema_decay=self.flow_cfg.flow_ema_decay,
            tolerance=self.flow_cfg.flow_fit_tolerance,
            average_across_ranks=self._average_across_ranks,
            autocast_dtype=torch.bfloat16 if self._uses_mixed_precision else self._flow_dtype,
            compile=mode,
        )
        self._baseline = self._make_baseline() if self.flow_cfg.base_action_baseline else None
        self._stopwatch = Stopwatch(self._rate.device)
        if self.storage is not None:
            self._make_room_for_base_action()

    @property
    def learning_rate(self) -> float:
        """Present step size of the conditional PPO update."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Tensor) -> None:
        self._learning_rate = float(value)
        if hasattr(self, "_rate"):
            self._rate.fill_(self._learning_rate)

    def act(self, obs: TensorDict) -> Tensor:
        """Sample base action and action, and keep both for the update.

        Args:
            obs: Observation groups. Batch size: [num_envs].

        Returns:
            a. Shape: [num_envs, num_actions].
        """
        self._restore_random_state()
        with self._stopwatch.phase("act"):
            actions = super().act(obs)
        observations = obs.copy()
        observations[BASE_ACTION] = self.model.last_base_action
        self.transition.observations = observations
        return actions

    def update(self) -> dict[str, float]:
        """Improve the kernel, then fit the flow to the improved policy.

        Returns:
            What RSL-RL's logger writes: losses averaged over mini-batches, the fit, and the seconds of each phase.

        Raises:
            NonFiniteError: If a loss is infinite or not a number. No checkpoint is written after it.
        """
        with self._stopwatch.phase("update"):
            report = self._improve()
        with self._stopwatch.phase("fit"):
            fit, report["flow_gap"] = self._fit()
        report |= {"flow_matching_first": fit.first_loss, "flow_matching_last": fit.last_loss}
        losses = dict(zip(report, torch.stack(list(report.values())).tolist(), strict=True))
        wrong = [name for name, value in losses.items() if not math.isfinite(value)]
        if wrong:
            raise NonFiniteError(
                f"Not finite in this update: {', '.join(wrong)}. Training stops; the last checkpoint is from before "
                "it. A lower learning_rate or entropy_coef, or std_type 'log', often helps."
            )
        self._update_normalizers()
        self.storage.clear()
        if self._adapts_learning_rate:
            self.learning_rate = self._rate
        steps = fit.num_epochs * self.flow_cfg.flow_num_mini_batches
        return {
            **losses,
            "flow_fit_epochs": fit.num_epochs,
            "flow_ema_horizon": ema_horizon(self.flow_cfg.flow_ema_decay, steps),
            **{f"seconds_{name}": seconds for name, seconds in self._stopwatch.read().items()},
        }

    def _improve(self) -> dict[str, Tensor]:
        """Do PPO's epochs on the kernel p(a | a0, s): equation (16).

        Returns:
            Losses, averaged over the mini-batches, on the device.
        """
        self._pinned_buffers.restore()
        if self._baseline:
            self._compare_around_base_actions(self._baseline)
        # RSL-RL shuffles once for all epochs, so that each mini-batch needs to be gathered once only.
        batches = list(self._mini_batches(self.num_mini_batches, num_epochs=1))
        steps = [self._gradient_step(vars(batch)) for _ in range(self.num_learning_epochs) for batch in batches]
        return {name: torch.stack([losses[name] for losses in steps]).mean() for name in steps[0]}

    def _make_baseline(self) -> BaseActionBaseline:
        """Return the baseline, as wide as the flow.

        Raises:
            ConfigError: If the model has a memory, or there are several processes.
        """
        if self._is_recurrent or self.is_multi_gpu:
            raise ConfigError(
                "base_action_baseline is True; it must be False for models with memory, and on several processes."
            )
        head = self.model.head
        widths = [layer.out_features for layer in self.model.velocity.modules() if isinstance(layer, nn.Linear)]
        num_features = head.features(head.fixed_noise).shape[-1]
        return BaseActionBaseline(head.in_features + num_features, widths[:-1], self._rate.device)

    def _compare_around_base_actions(self, baseline: BaseActionBaseline) -> None:
        """Take from the rollout's advantages what their base actions explain, and learn from them what that is."""
        observations = self.storage.observations.flatten(0, 1)
        with torch.no_grad():
            features = self.model.head.features(observations[BASE_ACTION])
            inputs = torch.cat((self.model.context(observations), features), dim=-1)
        advantages = objective.standardized((self.storage.returns - self.storage.values).flatten(0, 1))
        self.storage.advantages = baseline.centre(inputs, advantages).view_as(self.storage.advantages)
        baseline.fit(inputs, advantages)

    def _plain_gradient_step(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Make one step on a mini-batch, given as a dictionary of its fields; return its losses on the device."""
        with self._autocast():
            losses, kl = self._losses(MiniBatch(**batch))
            loss = (
                losses["surrogate"]
                + self.value_loss_coef * losses[self.value_loss_name]
                - self.entropy_coef * losses["entropy"]
                + self.flow_cfg.score_coef * losses["score"]
            )
            if self._mirror and self._mirror.use_mirror_loss:
                loss = loss + self._mirror.mirror_loss_coeff * losses["symmetry"]
        self._adapt_learning_rate(kl)
        self._descend(loss, losses.get("rnd"))
        return {name: value.detach() for name, value in {**losses, "kl": kl}.items()}

    def _losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the terms of the objective on a mini-batch, and the kernel's divergence from the rollout's."""
        size, observations = batch.size, batch.observations
        if self.normalize_advantage_per_mini_batch:
            batch = dataclasses.replace(batch, advantages=objective.standardized(batch.advantages))
        if self._mirror and self._mirror.use_data_augmentation:
            batch = self._mirror.mirror_batch(batch)
        mean, std = (output.float() for output in self._kernel(batch))
        losses = {
            self.value_loss_name: objective.value_loss(
                self._values(batch).float(),
                batch.values,
                batch.returns,
                self.clip_param if self.use_clipped_value_loss else None,
            ),
            "surrogate": objective.clipped_surrogate(
                objective.gaussian_log_prob(batch.actions, mean, std),
                batch.old_log_prob,
                batch.advantages,
                self.clip_param,
            ),
            "entropy": objective.conditional_entropy(std[:size]).mean(),
            "score": objective.score_regularization(mean - batch.base_action, std, batch.base_action),
        }
        with torch.no_grad():
            kl = objective.gaussian_kl(batch.old_mean, batch.old_std, mean[:size], std[:size]).mean()
        if self._mirror:
            losses["symmetry"] = self._mirror_loss(batch, observations, mean, size)
        if self.rnd:
            losses["rnd"] = self._rnd_loss(observations)
        return losses, kl

    def _mirror_loss(self, batch: MiniBatch, observations: TensorDict, mean: Tensor, size: int) -> Tensor:
        """Return the mirror loss; evaluates the kernel on the mirrored states unless the batch has them already."""
        assert self._mirror is not None
        if not self._mirror.use_data_augmentation:
            mean = self._kernel(
                dataclasses.replace(batch, observations=self._mirror.mirror_observations(observations))
            )[0]
        loss = self._mirror.mirror_loss(mean, size)
        return loss if self._mirror.use_mirror_loss else loss.detach()

    def _rnd_loss(self, observations: TensorDict) -> Tensor:
        """Return the error of RND's predictor on a mini-batch."""
        with torch.no_grad():
            state = self.rnd.state_normalizer(self.rnd.get_rnd_state(observations))
            target = self.rnd.target(state)
        return nn.functional.mse_loss(self.rnd.predictor(state), target)

    def _adapt_learning_rate(self, kl: Tensor) -> None:
        """Change the step size by the divergence, on the device, alike on all ranks."""
        if not self._adapts_learning_rate:
            return
        self._average_across_ranks([kl])
        self._rate.copy_(objective.adapted_learning_rate(self._rate, kl, self.desired_kl))

    def _descend(self, loss: Tensor, rnd_loss: Tensor | None) -> None:
        """Move against the gradient of the kernel, the value function and RND's predictor."""
        self.optimizer.zero_grad()
        loss.backward()
        if rnd_loss is not None:
            self._rnd_optimizer().zero_grad()
            rnd_loss.backward()
        if self.is_multi_gpu:
            self.reduce_parameters()
        self._clip_gradients()
        self.optimizer.step()
        if rnd_loss is not None:
            self._rnd_optimizer().step()

    def _fit(self) -> tuple[FitReport, Tensor]:
        """Fit the flow to the improved policy: equation (12) on a1 from the flow and the improved kernel.

        Returns:
            The fit's report, and the gap that it leaves: the energy distance between improved policy and new flow at
            some states of the rollout.
        """
        context, target, noise = self._fit_samples()
        states = context[:GAP_STATES].repeat_interleave(GAP_SAMPLES, dim=0)
        with torch.no_grad():
            improved = self._sample_improved(states, self.model.sample_base_action(states))
        report = self._flow_fit.fit(context, target, noise if self.flow_cfg.flow_noise == "kept" else None)
        with torch.no_grad():
            fitted = self.model.sample_base_action(states)
        shape = (-1, GAP_SAMPLES, fitted.shape[-1])
        return report, energy_distance(improved.view(shape), fitted.view(shape))

    @torch.no_grad()
    def _fit_samples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return contexts s [batch, context_dim], actions a1 [batch, num_actions] of the improved policy, and noise.

        The noise [batch, num_actions] is the one that the flow made a1's base action from, unless that was stored. With
        symmetry augmentation the flow sees the mirrored pairs too.
        """
        samples = []
        for batch in self._mini_batches(self.num_mini_batches, num_epochs=1):
            context = self.model.context(batch.observations, batch.masks, batch.hidden_states[0])
            context, base_action = context.flatten(0, -2), batch.base_action.flatten(0, -2)
            noise = self.model.draw_noise(context)
            if self.flow_cfg.flow_target == "fresh":
                base_action = self.model.sample_base_action(context, noise)
            target = self._sample_improved(context, base_action)
            if self._mirror and self._mirror.use_data_augmentation:
                context = self.model.context(self._mirror.mirror_observations(batch.observations))
                target, noise = self._mirror.mirror_actions(target), self._mirror.mirror_actions(noise)
            samples.append((context, target, noise))
        contexts, targets, noises = (torch.cat(tensors) for tensors in zip(*samples, strict=True))
        return contexts, targets, noises

    def _sample_improved(self, context: Tensor, base_action: Tensor) -> Tensor:
        """Sample a1 from the improved kernel (8). Shape: [batch, num_actions]."""
        mean = self.model.head.kernel_mean(base_action, context)
        return mean + self.model.kernel_std() * torch.randn_like(mean)

    def _average_across_ranks(self, tensors: list[Tensor]) -> None:
        if self.is_multi_gpu:
            average_across_ranks(tensors)

    @property
    def _adapts_learning_rate(self) -> bool:
        return self.desired_kl is not None and self.schedule == "adaptive"

    def _compile_mode(self) -> str:
        """Return how the flow and the gradient steps run. Some of RSL-RL's extensions cannot be recorded."""
        mode = resolve_mode(self.flow_cfg.compile, self._rate.device)
        recordable = not (
            self.is_multi_gpu or self.rnd or self._mirror or self._is_recurrent or self._uses_mixed_precision
        )
        return mode if mode != "cudagraph" or recordable else "none"

    @property
    def _flow_dtype(self) -> torch.dtype | None:
        return torch.bfloat16 if self.flow_cfg.flow_precision == "bfloat16" else None

    @property
    def _uses_mixed_precision(self) -> bool:
        return getattr(self, "use_mixed_precision", False)  # from RSL-RL 5.5

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._rate.device.type, dtype=torch.bfloat16, enabled=self._uses_mixed_precision)

    def _make_room_for_base_action(self) -> None:
        """Add the base action to the stored observations, so that RSL-RL's generators hand it back."""
        self.storage.observations[BASE_ACTION] = torch.zeros_like(self.storage.actions)

    def _add_learner_state(self, _: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        random_state = {"cpu": torch.get_rng_state()}
        if self._rate.is_cuda:
            random_state["cuda"] = torch.cuda.get_rng_state(self._rate.device)
        learner = {
            "flow_optimizer": self.flow_optimizer.state_dict(),
            "random_state": random_state,
            "rnd_update_counter": self.rnd.update_counter if self.rnd else 0,
        }
        if self._baseline:
            learner["baseline"] = self._baseline.state_dict()
        groups = [{**group, "lr": self.learning_rate} for group in state["param_groups"]]
        return {**state, "param_groups": groups, LEARNER_STATE: learner}

    def _load_learner_state(self, _: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        if LEARNER_STATE not in state:
            raise CheckpointError("The checkpoint's optimizer is not DP-CPPO's: it was written by another algorithm.")
        learner = state[LEARNER_STATE]
        self.flow_optimizer.load_state_dict(learner["flow_optimizer"])
        if self.rnd:
            self.rnd.update_counter = learner["rnd_update_counter"]
        if self._baseline and "baseline" in learner:
            self._baseline.load_state_dict(learner["baseline"])
        # One file serves all ranks; if each took its random state, all would sample the same noise.
        self._random_state_to_restore = None if self.is_multi_gpu else learner["random_state"]

    def _share_learning_rate(self, optimizer: torch.optim.Optimizer) -> None:
        self.learning_rate = optimizer.param_groups[0]["lr"]
        for group in optimizer.param_groups:
            group["lr"] = self._rate
        # Both optimizers have new tensors now.
        self._gradient_step.reset()
        self._flow_fit.forget_recorded_steps()

    def _restore_random_state(self) -> None:
        """Continue the random numbers of the checkpoint, at the first action rather than when it is loaded.

        So playing a policy keeps its own seed, and what hosts draw between the two does not matter.
        """
        if self._random_state_to_restore is None:
            return
        torch.set_rng_state(self._random_state_to_restore["cpu"].cpu())
        if self._rate.is_cuda and "cuda" in self._random_state_to_restore:
            torch.cuda.set_rng_state(self._random_state_to_restore["cuda"].cpu(), self._rate.device)
        self._random_state_to_restore = None


def _optimizer(
    kind: Callable[..., torch.optim.Optimizer], parameters: Iterable[nn.Parameter], learning_rate: float | Tensor
) -> torch.optim.Optimizer:
    """Build an optimizer that reads its step size on the device, without waiting for it."""
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    if "fused" in inspect.signature(kind).parameters:
        return kind(parameters, lr=learning_rate, fused=True, capturable=parameters[0].is_cuda)
    return kind(parameters, lr=learning_rate, foreach=False, capturable=parameters[0].is_cuda)
