# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PPO on a flow policy, whatever its objective: the mini-batches, the gradient steps, and what is logged and saved."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.errors import EnvError, NonFiniteError
from rsl_dpcppo.learning import objective
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.clock import Stopwatch
from rsl_dpcppo.learning.compilation import Compiled, PinnedBuffers, resolve_mode
from rsl_dpcppo.learning.effects import optimizer_tensors
from rsl_dpcppo.learning.environment import blame_dones, blame_rollout, wrong_dones
from rsl_dpcppo.learning.guard import guard_optimizer
from rsl_dpcppo.learning.host import Host
from rsl_dpcppo.learning.policy import FlowPolicy
from rsl_dpcppo.learning.random_state import RandomState
from rsl_dpcppo.learning.ranks import average_across_ranks
from rsl_dpcppo.learning.sizes import check_rollout
from rsl_dpcppo.learning.state import save_with_optimizer
from rsl_dpcppo.learning.step_size import StepSize, make_optimizer


class OnPolicyLearner:
    """Learns from rollouts. A subclass says what the losses are: :meth:`losses` and :meth:`weights`.

    The rollout stores what the policy made its actions from. The update goes over the rollout's mini-batches and
    descends on the weighted sum of the losses.
    """

    fields_class: ClassVar[Any]
    """The fields that the algorithm adds to those of RSL-RL's PPO, a dataclass."""
    policy_class: ClassVar[type[FlowPolicy]]
    """The policy that the algorithm trains."""

    cfg: Any
    policy: Any
    last_observations: TensorDict
    """Observations after the rollout's last step."""

    def __init__(self, host: Host, cfg: Any) -> None:
        """Make the optimizer, and let the policy draw its actions as ``compile`` says.

        Args:
            host: RSL-RL's PPO.
            cfg: Fields of ``fields_class``.

        Raises:
            ConfigError: If RSL-RL's fields ask for what the algorithm does not have.
        """
        self.name = type(self).__name__.removesuffix("Learner")
        self.host, self.cfg, self.policy = host, cfg, host.policy
        # An optimizer of our own: PPO's would hold all weights, and its adaptive rate would drive them.
        self.step_size = StepSize(host.ppo.learning_rate, host.device)
        self.optimizer = self.make_optimizer(host.optimizer_class)
        if host.rnd is not None:
            guard_optimizer(host.rnd_optimizer)
        self.random_state = RandomState(host.device)
        save_with_optimizer(self)
        self.symmetry = host.symmetry()
        self.clock = Stopwatch(host.device)
        self.mode = self._compile_mode()
        self.policy.compile(self.mode)
        self._gradient_step = Compiled(
            self.gradient_step, self.mode if self.mode == "cudagraph" else "none", self._changed_by_a_step
        )
        self._losses = Compiled(
            self.losses_of,
            self.mode if self.mode == "inductor" and self._is_recordable else "none",
            lambda: {"the weights": [x for group in self.optimizer.param_groups for x in group["params"]]},
        )
        self._pinned_buffers = PinnedBuffers(*host.networks())

    def make_optimizer(self, kind: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
        """Return the optimizer of what the losses train.

        Args:
            kind: The class that RSL-RL's fields name.
        """
        return make_optimizer(kind, [{"params": self.host.trained_parameters(), "lr": self.step_size.tensor}])

    def check_sizes(self) -> None:
        """Refuse more mini-batches than samples. For training alone: whoever plays may have few environments.

        Raises:
            ConfigError: Names the field, its value and the largest that is right.
        """
        check_rollout(self.host)

    def update(self) -> dict[str, float]:
        """Learn from the rollout.

        Returns:
            What RSL-RL's logger writes: losses averaged over mini-batches, and the seconds of each phase.

        Raises:
            NonFiniteError: If a loss is infinite or not a number. No checkpoint is written after it.
            EnvError: If the environment gave a done that is neither 0 nor 1.
        """
        report, figures = self.learn()
        rollout = self.host.rollout
        *values, num_wrong = torch.stack([*report.values(), wrong_dones(rollout.dones).sum().float()]).tolist()
        if num_wrong > 0.0:
            raise EnvError(blame_dones(rollout.dones))
        losses = dict(zip(report, values, strict=True))
        wrong = [name for name, value in losses.items() if not math.isfinite(value)]
        if wrong:
            reason = blame_rollout(rollout, self.last_observations, self.policy.stored_name) or (
                "A lower learning_rate or entropy_coef often helps, and for a Gaussian kernel std_type 'log'."
            )
            raise NonFiniteError(
                f"Not finite in this update: {', '.join(wrong)}. Training stops; the last checkpoint is from before "
                f"it. {reason}"
            )
        self.host.update_normalizers()
        rollout.clear()
        if self._adapts_step_size:
            self.step_size.read()
        return {
            **losses,
            **figures,
            **{f"seconds_{name}": seconds for name, seconds in self.clock.read().items()},
        }

    def learn(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Learn from the rollout; return losses, on the device, and plain figures to log."""
        with self.clock.phase("update"):
            return self.improve(), {}

    def improve(self) -> dict[str, Tensor]:
        """Do PPO's epochs.

        Returns:
            Losses, averaged over the mini-batches, on the device.
        """
        self._pinned_buffers.restore()
        ppo = self.host.ppo
        # RSL-RL shuffles once for all epochs, so that each mini-batch needs to be gathered once only.
        batches = [self.prepare(batch) for batch in self.host.mini_batches(ppo.num_mini_batches, num_epochs=1)]
        steps = [self._gradient_step(vars(batch)) for _ in range(ppo.num_learning_epochs) for batch in batches]
        if not self.adapts_each_step:
            self._adapt_step_size(torch.stack([losses["kl"] for losses in steps[-len(batches) :]]).mean())
        return {name: torch.stack([losses[name] for losses in steps]).mean() for name in steps[0]}

    def prepare(self, batch: MiniBatch) -> MiniBatch:
        """Return a mini-batch with what is computed once, before the first gradient step."""
        return batch

    def gradient_step(self, fields: dict[str, Any]) -> dict[str, Tensor]:
        """Make one step on a mini-batch, given as a dictionary of its fields; return its losses on the device."""
        with self._autocast():
            losses, kl = self._losses(fields)
            if self.host.rnd is not None:
                losses["rnd"] = self._rnd_loss(fields["observations"])
            terms = [weight * losses[name] for name, weight in self.weights().items()]
        if self.adapts_each_step:
            self._adapt_step_size(kl)
        self._descend(sum(terms[1:], terms[0]), losses.get("rnd"))
        return {name: value.detach() for name, value in {**losses, "kl": kl}.items()}

    def weights(self) -> dict[str, float]:
        """Return the losses that are descended on, with their weights; others are only logged."""
        return {"surrogate": 1.0, self.host.value_loss_name: self.host.ppo.value_loss_coef}

    def losses(self, batch: MiniBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the losses on a mini-batch, by name, and an estimate of the divergence from the rollout's policy."""
        raise NotImplementedError

    def losses_of(self, fields: dict[str, Any]) -> tuple[dict[str, Tensor], Tensor]:
        """Return :meth:`losses` of a mini-batch, given as a dictionary of its fields, with what RSL-RL does to it."""
        batch = MiniBatch(**fields)
        if self.host.ppo.normalize_advantage_per_mini_batch:
            batch = dataclasses.replace(batch, advantages=objective.standardized(batch.advantages))
        return self.losses(batch)

    def value_loss(self, batch: MiniBatch) -> Tensor:
        """Return the value function's loss, clipped if RSL-RL's fields say so."""
        ppo = self.host.ppo
        clip_param = ppo.clip_param if ppo.use_clipped_value_loss else None
        return objective.value_loss(self.host.values(batch).float(), batch.values, batch.returns, clip_param)

    def _rnd_loss(self, observations: TensorDict) -> Tensor:
        """Return the error of RND's predictor on a mini-batch."""
        rnd = self.host.rnd
        assert rnd is not None
        with torch.no_grad():
            state = rnd.state_normalizer(rnd.get_rnd_state(observations))
            target = rnd.target(state)
        return nn.functional.mse_loss(rnd.predictor(state), target)

    @property
    def desired_kl(self) -> float | None:
        """The divergence that the adaptive step size aims at: RSL-RL's field."""
        return self.host.ppo.desired_kl

    @property
    def largest_rate(self) -> float:
        """The step size that the adaptive one does not exceed: RSL-RL's bound."""
        return objective.LARGEST_RATE

    @property
    def adapts_each_step(self) -> bool:
        """Whether the adaptive step size follows the divergence of each mini-batch, as RSL-RL's does.

        If not it stays as it is for an iteration, and then follows that of the last epoch.
        """
        return True

    @property
    def _adapts_step_size(self) -> bool:
        return self.desired_kl is not None and self.host.ppo.schedule == "adaptive"

    def _adapt_step_size(self, kl: Tensor) -> None:
        """Change the step size by the divergence, on the device, alike on all ranks."""
        desired_kl = self.desired_kl
        if desired_kl is None or not self._adapts_step_size:
            return
        self.average_across_ranks([kl])
        self.step_size.adapt(kl, desired_kl, self.largest_rate)

    def _descend(self, loss: Tensor, rnd_loss: Tensor | None) -> None:
        """Move against the gradient of the policy, the value function and RND's predictor."""
        self.optimizer.zero_grad()
        loss.backward()
        if rnd_loss is not None:
            self.host.rnd_optimizer.zero_grad()
            rnd_loss.backward()
        if self.host.is_multi_gpu:
            self.host.average_gradients()
        self.host.clip_gradients()
        self.optimizer.step()
        if rnd_loss is not None:
            self.host.rnd_optimizer.step()

    def _changed_by_a_step(self) -> Mapping[str, Sequence[Tensor]]:
        """Return the tensors that a gradient step changes."""
        weights = [x for network in self.host.networks() for x in (*network.parameters(), *network.buffers())]
        return {
            "the weights": weights,
            **optimizer_tensors(self.optimizer),
            "the step size": [self.step_size.tensor],
        }

    def average_across_ranks(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, if there are several."""
        if self.host.is_multi_gpu:
            average_across_ranks(tensors)

    def _compile_mode(self) -> str:
        """Return how the flow and the gradient steps run."""
        mode = resolve_mode(self.cfg.compile, self.host.device)
        return mode if mode != "cudagraph" or self._is_recordable else "none"

    @property
    def _is_recordable(self) -> bool:
        """Whether a gradient step can be recorded or compiled. With some of RSL-RL's extensions it cannot."""
        host = self.host
        return not (host.is_multi_gpu or host.rnd or self.symmetry or host.is_recurrent or host.uses_mixed_precision)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.host.device.type, dtype=torch.bfloat16, enabled=self.host.uses_mixed_precision)

    @property
    def is_one_of_several(self) -> bool:
        """Whether other processes load the same checkpoint."""
        return self.host.is_multi_gpu

    def more_state(self) -> dict[str, Any]:
        """Return what the algorithm's checkpoints hold beside weights, optimizer, step size and random numbers."""
        return {"rnd_update_counter": self.host.rnd.update_counter if self.host.rnd else 0}

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`more_state` returned."""
        if self.host.rnd:
            self.host.rnd.update_counter = state["rnd_update_counter"]

    def take_rate(self, field: str, value: float) -> None:
        """Go on with another step size than the checkpoint's.

        Args:
            field: Which one: "learning_rate", or an algorithm's own.
            value: The step size.
        """
        if field == "learning_rate":
            self.step_size.set(value)

    def forget_recorded_steps(self) -> None:
        """Record the gradient step anew: to be called after the optimizer has loaded a state."""
        self._gradient_step.reset()
