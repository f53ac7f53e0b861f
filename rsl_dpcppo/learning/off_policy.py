# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Learning from a replay buffer, with twin critics and averaged targets, whatever the policy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.config.off_policy import OffPolicyFields
from rsl_dpcppo.errors import CheckpointError, EnvError, NonFiniteError
from rsl_dpcppo.flow.ema import update_ema
from rsl_dpcppo.learning.clock import Stopwatch
from rsl_dpcppo.learning.compilation import Compiled, PinnedBuffers, resolve_mode
from rsl_dpcppo.learning.critics import TwinCritics, critic_loss, td_target
from rsl_dpcppo.learning.effects import optimizer_tensors
from rsl_dpcppo.learning.environment import blame_dones, blame_rollout, wrong_dones
from rsl_dpcppo.learning.random_state import RandomState
from rsl_dpcppo.learning.replay import ReplayBuffer, Transitions
from rsl_dpcppo.learning.step_size import make_optimizer


class OffPolicyHost(Protocol):
    """What an off-policy learner asks of the framework that hosts it."""

    @property
    def policy(self) -> Any:
        """The policy in the host's model, a :class:`~rsl_dpcppo.learning.sampled_policy.SampledPolicy`."""

    @property
    def critics(self) -> TwinCritics:
        """Q1 and Q2."""

    @property
    def targets(self) -> TwinCritics:
        """Their averages, of which the targets are made."""

    @property
    def device(self) -> torch.device:
        """Where the networks are."""

    @property
    def observations(self) -> TensorDict:
        """Observation groups that the networks see, for their shapes. Batch size: [num_envs]."""

    def networks(self) -> tuple[nn.Module, ...]:
        """Return the modules that hold all weights and normalisers."""

    def context(self, observations: TensorDict) -> Tensor:
        """Return s, what the policy sees of the observations. Shape: [batch, context_dim]."""

    def critic_context(self, observations: TensorDict) -> Tensor:
        """Return what the critics see of them. Shape: [batch, critic_context_dim]."""

    def update_normalizers(self, observations: TensorDict) -> None:
        """Update the observation statistics. Batch size: [batch]."""


@dataclass
class Batch:
    """Transitions as the networks see them."""

    context: Tensor
    """s. Shape: [batch, context_dim]."""
    critic_context: Tensor
    """What the critics see of the same state. Shape: [batch, critic_context_dim]."""
    actions: Tensor
    """a in [-1, 1]. Shape: [batch, num_actions]."""
    rewards: Tensor
    """r, summed over the steps. Shape: [batch]."""
    next_context: Tensor
    """s'. Shape: [batch, context_dim]."""
    next_critic_context: Tensor
    """What the critics see of it. Shape: [batch, critic_context_dim]."""
    discounts: Tensor
    """gamma^n, 0 where s' is terminal. Shape: [batch]."""


class OffPolicyLearner:
    """Fits twin critics to the rewards of stored steps, and the policy to the critics.

    A subclass says how to explore (:meth:`explore`), what a next state is worth (:meth:`next_values`) and what the
    policy descends on (:meth:`policy_loss`).
    """

    fields_class: ClassVar[type[OffPolicyFields]]
    """The algorithm's fields, a dataclass."""
    policy_class: ClassVar[Any]
    """The policy that the algorithm trains."""

    cfg: Any
    policy: Any

    def __init__(self, host: OffPolicyHost, cfg: Any) -> None:
        """Make buffer and optimizers, and let the policy draw its actions as ``compile`` says.

        Args:
            host: What hosts the learner.
            cfg: Fields of ``fields_class``.
        """
        self.name = type(self).__name__.removesuffix("Learner")
        self.host, self.cfg, self.policy = host, cfg, host.policy
        self.num_actions: int = self.policy.head.num_actions
        self.buffer = ReplayBuffer(cfg.replay_size, host.observations, self.num_actions, host.device)
        self.num_envs = self.buffer.num_envs
        self.critic_optimizer = self._adam(list(host.critics.parameters()), cfg.critic_learning_rate)
        self.actor_optimizer = self._adam(list(self.policy.live.parameters()), cfg.actor_learning_rate)
        self.log_temperature = nn.Parameter(torch.tensor(cfg.init_temperature, device=host.device).log())
        self.temperature_optimizer = self._adam([self.log_temperature], cfg.temperature_learning_rate)
        self.random_state = RandomState(host.device)
        self.clock = Stopwatch(host.device)
        self.num_stored = 0
        """Environment steps since training began or was resumed without its buffer, those of all environments."""
        self.num_updates = 0
        """Gradient steps of the critics so far."""
        self._due = 0.0
        self._is_refilling = self._has_samples = False
        self._fresh: list[tuple[TensorDict, Tensor]] = []  # observations and dones of the steps since the last update
        self.mode = resolve_mode(cfg.compile, host.device)
        self.policy.compile(self.mode)
        self._pinned_buffers = PinnedBuffers(*host.networks())
        recorded = self.mode if self.mode == "cudagraph" else "none"
        self._steps = {
            with_policy: Compiled(partial(self.gradient_step, with_policy), recorded, self._changed_by_a_step)
            for with_policy in (False, True)
        }

    def _adam(self, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        """Return an optimizer that reads its step size on the device."""
        return make_optimizer(
            torch.optim.Adam, [{"params": parameters, "lr": torch.tensor(rate, device=self.host.device)}]
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimizers by the names that checkpoints have."""
        return {
            "critics": self.critic_optimizer,
            "policy": self.actor_optimizer,
            "temperature": self.temperature_optimizer,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return what else the gradient steps change in place, by the names that checkpoints have."""
        return {"log_temperature": self.log_temperature}

    @property
    def is_warming_up(self) -> bool:
        """Whether there are too few samples to learn from."""
        return self.num_stored < min(self.cfg.warmup_samples, self.cfg.replay_size)

    def act(self, observations: TensorDict) -> Tensor:
        """Explore. Actions are uniform until there are samples to learn from, unless the policy has learned before.

        Returns:
            Actions in [-1, 1]. Shape: [num_envs, num_actions].
        """
        self.random_state.resume()
        with self.clock.phase("act"):
            if self.is_warming_up and not self._is_refilling:
                return 2.0 * torch.rand(self.num_envs, self.num_actions, device=self.host.device) - 1.0
            return self.explore(self.host.context(observations), self.host.critic_context(observations))

    def explore(self, context: Tensor, critic_context: Tensor) -> Tensor:
        """Draw actions in [-1, 1] for a rollout. Shape: [num_envs, num_actions]."""
        raise NotImplementedError

    def store(
        self,
        observations: TensorDict,
        actions: Tensor,
        rewards: Tensor,
        next_observations: TensorDict,
        dones: Tensor,
        time_outs: Tensor,
        knows_last: bool,
    ) -> None:
        """Keep a step of every environment.

        Args:
            observations: Observation groups that the actions were made from. Batch size: [num_envs].
            actions: Actions in [-1, 1]. Shape: [num_envs, num_actions].
            rewards: r. Shape: [num_envs].
            next_observations: Observation groups after the step. Batch size: [num_envs].
            dones: Whether an episode ended. Shape: [num_envs].
            time_outs: Whether it ended without a terminal state. Shape: [num_envs].
            knows_last: Whether ``next_observations`` are those of the episode that ended, not of the next one.
        """
        last = dones > 0
        cut_off = last & (time_outs > 0)
        known = torch.ones_like(last) if knows_last else ~cut_off
        self.buffer.add(observations, actions, rewards, next_observations, last & ~cut_off, last, known)
        self._fresh.append((observations, dones.float()))
        self.num_stored += self.num_envs
        if not self.is_warming_up:
            self._due += self.cfg.updates_per_step

    def update(self) -> dict[str, float]:
        """Make the gradient steps that are due.

        Returns:
            What RSL-RL's logger writes: losses averaged over the steps, and the seconds of each phase.

        Raises:
            NonFiniteError: If a loss is infinite or not a number. No checkpoint is written after it.
            EnvError: If the environment gave a done that is neither 0 nor 1.
        """
        observations, ends = zip(*self._fresh, strict=True)
        seen: Any = torch.cat(observations)
        dones = torch.stack(ends)
        self.host.update_normalizers(seen)
        self._fresh = []
        self._pinned_buffers.restore()
        report: defaultdict[str, list[Tensor]] = defaultdict(list)
        number, self._due = int(self._due), self._due % 1.0
        if number and not self._has_samples:
            self._check_samples()
        with self.clock.phase("update"):
            for _ in range(number):
                for name, value in self._gradient_step().items():
                    report[name].append(value)
        self._is_refilling &= self.is_warming_up
        means = {name: torch.stack(values).mean() for name, values in report.items()}
        *values, num_wrong = torch.stack([*means.values(), wrong_dones(dones).sum().float()]).tolist()
        if num_wrong > 0.0:
            raise EnvError(blame_dones(dones))
        losses = dict(zip(means, values, strict=True))
        wrong = [name for name, value in losses.items() if not math.isfinite(value)]
        if wrong:
            blamed = blame_rollout(self.buffer, observations[-1])  # type: ignore[arg-type]
            reason = blamed.replace("of the rollout", "of the replay buffer") or (
                "A lower actor_learning_rate or critic_learning_rate often helps, and critic_layer_norm."
            )
            raise NonFiniteError(
                f"Not finite in this update: {', '.join(wrong)}. Training stops; the last checkpoint is from before "
                f"it. {reason}"
            )
        seconds = {f"seconds_{name}": seconds for name, seconds in self.clock.read().items()}
        kept = min(self.num_stored, self.buffer.num_kept * self.num_envs)
        return {**losses, "replay_samples": float(kept), **seconds}

    def _check_samples(self) -> None:
        """Refuse to learn from nothing. Waits for the device, once in a run.

        Raises:
            EnvError: If every step was left out.
        """
        if not self.buffer.counts.any():
            raise EnvError(
                "Every step of the environment was a time-out without a last observation, from which nothing can be "
                "learned: it must give extras['final_obs'], or not call the end of an episode a time-out."
            )
        self._has_samples = True

    def _gradient_step(self) -> dict[str, Tensor]:
        """Draw a batch and descend on it."""
        cfg = self.cfg
        batch = self.buffer.sample(cfg.batch_size, cfg.gamma, cfg.return_steps)
        with_policy = self.num_updates % cfg.policy_delay == 0
        if with_policy:
            self.actor_optimizer.param_groups[0]["lr"].fill_(self.actor_rate(self.num_updates // cfg.policy_delay))
        losses = self._steps[with_policy](vars(batch))
        self.num_updates += 1
        self.after_update()
        return losses

    def actor_rate(self, num_steps: int) -> float:
        """Return the policy's step size after some gradient steps of its own."""
        return self.cfg.actor_learning_rate

    def after_update(self) -> None:
        """Do what is done more rarely than at each gradient step."""

    def gradient_step(self, with_policy: bool, fields: dict[str, Any]) -> dict[str, Tensor]:
        """Make one step of the critics, and perhaps of the policy.

        Args:
            with_policy: Whether the policy learns too, and the averages move.
            fields: The batch, as a dictionary of its fields.

        Returns:
            Losses on the device.
        """
        batch = self._seen(Transitions(**fields))
        with torch.no_grad():
            next_values, drawn = self.next_values(batch)
            target = td_target(batch.rewards, batch.discounts, next_values, self.cfg.reward_scale)
        values = self.host.critics(batch.critic_context, batch.actions)
        losses = {"critic": critic_loss(values, target)}
        descend(self.critic_optimizer, losses["critic"])
        losses["q"] = values.mean()
        if with_policy:
            losses |= self.improve_policy(batch, drawn)
            update_ema(self.host.targets, self.host.critics, self.cfg.target_decay)
        return {name: value.detach() for name, value in losses.items()}

    def improve_policy(self, batch: Batch, drawn: Any) -> dict[str, Tensor]:
        """Make one step of the policy, and move the weights that play.

        Args:
            batch: The batch.
            drawn: What :meth:`next_values` drew.
        """
        losses = self.policy_loss(batch, drawn)
        descend(self.actor_optimizer, losses["policy"])
        self.policy.update_played(self.played_decay)
        return losses

    @property
    def played_decay(self) -> float:
        """Share of the weights that play which is kept at each step of the policy."""
        return 0.0

    def next_values(self, batch: Batch) -> tuple[Tensor, Any]:
        """Return V(s') by the averaged critics, and what was drawn for it. Called without gradients. Shape: [batch]."""
        raise NotImplementedError

    def policy_loss(self, batch: Batch, drawn: Any) -> dict[str, Tensor]:
        """Return what the policy descends on, "policy", and what else is logged. Shape of each: []."""
        raise NotImplementedError

    @torch.no_grad()
    def _seen(self, batch: Transitions) -> Batch:
        """Return a batch as the networks see it."""
        host = self.host
        return Batch(
            host.context(batch.observations),
            host.critic_context(batch.observations),
            batch.actions,
            batch.rewards,
            host.context(batch.next_observations),
            host.critic_context(batch.next_observations),
            batch.discounts,
        )

    def _changed_by_a_step(self) -> Mapping[str, Sequence[Tensor]]:
        """Return the tensors that a gradient step changes."""
        weights = [x for network in self.host.networks() for x in (*network.parameters(), *network.buffers())]
        moments = [optimizer_tensors(optimizer) for optimizer in self.optimizers().values()]
        states = {f"{i}: {name}": tensors for i, each in enumerate(moments) for name, tensors in each.items()}
        return {"the weights": weights, **states, "what else is learned": list(self.tensors().values())}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside the networks and the optimizers."""
        state = {
            "algorithm": self.name,
            "random_state": self.random_state.state_dict(),
            "num_stored": self.num_stored,
            "num_updates": self.num_updates,
            "due": self._due,
            "tensors": {name: x.detach().clone() for name, x in self.tensors().items()},
        }
        return {**state, "replay": self.buffer.state_dict()} if self.cfg.save_buffer else state

    def load_state_dict(self, state: dict[str, Any], optimizers: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned, and the optimizers.

        Raises:
            CheckpointError: If it is another algorithm's, or damaged.
        """
        if state.get("algorithm") != self.name:
            raise CheckpointError(f"The checkpoint is not {self.name}'s: it was written by another algorithm.")
        self._load_optimizers(optimizers)
        own, saved = self.tensors(), state["tensors"]
        for name, x in own.items():
            if saved[name].shape != x.shape or not saved[name].isfinite().all():
                raise CheckpointError(f"The checkpoint's '{name}' is no finite tensor of shape {list(x.shape)}.")
            with torch.no_grad():
                x.copy_(saved[name])
        counts = [state[name] for name in ("num_stored", "num_updates", "due")]
        if not all(isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x < math.inf for x in counts):
            raise CheckpointError(f"The checkpoint counts {counts}; these must be numbers from 0.")
        self.random_state.load_state_dict(state["random_state"])
        self.num_updates, self._fresh = int(counts[1]), []
        if "replay" in state:
            self.buffer.load_state_dict(state["replay"])
            self.num_stored, self._due, self._is_refilling = int(counts[0]), float(counts[2]), False
        else:
            self.num_stored, self._due, self._is_refilling = 0, 0.0, self.num_updates > 0
            self._has_samples = False
            print(
                "[INFO] The checkpoint has no replay buffer (save_buffer): "
                f"{min(self.cfg.warmup_samples, self.cfg.replay_size)} samples are collected before learning goes on."
            )
        for step in self._steps.values():
            step.reset()

    def _load_optimizers(self, states: dict[str, Any]) -> None:
        for name, optimizer in self.optimizers().items():
            rate = optimizer.param_groups[0]["lr"]
            optimizer.load_state_dict(states[name])
            # The recorded steps and the schedule have the tensor of this learner.
            optimizer.param_groups[0]["lr"] = rate


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Move an optimizer's weights, and no others, against the gradient of a loss."""
    optimizer.zero_grad()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
