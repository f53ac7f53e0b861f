# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Transitions to learn from again and again: a ring of the last ones of each environment, on the learner's device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.errors import CheckpointError


@dataclass
class Transitions:
    """A batch of transitions of one or several steps: of as many as an episode and the buffer have."""

    observations: TensorDict
    """Observation groups that the actions were made from. Batch size: [batch]."""
    actions: Tensor
    """a. Shape: [batch, num_actions]."""
    rewards: Tensor
    """Discounted sum of the steps' rewards. Shape: [batch]."""
    next_observations: TensorDict
    """True observations after the last of the steps; of any state where that was terminal. Batch size: [batch]."""
    discounts: Tensor
    """Weight of the next state's value: gamma^steps, 0 where it is terminal. Shape: [batch]."""


class ReplayBuffer:
    """A ring of rows for each environment. All is kept on the device, and nothing here waits for it.

    A step after which the true observation is not known, a time-out of a host that gives the next episode's first one
    instead, is left out: what came before it ends there, and counts on from the last observation that is known.

    The first axes of what is stored are those of RSL-RL's storage: [num_rows, num_envs, ...].
    """

    def __init__(self, size: int, observations: TensorDict, num_actions: int, device: torch.device) -> None:
        """Prepare the memory.

        Args:
            size: Number of samples that all environments together keep, rounded up to full rows.
            observations: Observation groups to store, for their shapes. Batch size: [num_envs].
            num_actions: Width of an action.
            device: Where to keep them.
        """
        (self.num_envs,) = observations.batch_size
        self.num_kept = -(-size // self.num_envs)
        self._like, self._num_actions, self._device = observations[:0].clone(), num_actions, device
        self._heads = torch.zeros(self.num_envs, dtype=torch.long, device=device)
        self._counts = torch.zeros(self.num_envs, dtype=torch.long, device=device)
        self._envs = torch.arange(self.num_envs, device=device)

    @cached_property
    def _rows(self) -> TensorDict:
        """The memory, which is taken when it is first asked for: whoever only plays takes none."""
        with torch.inference_mode(False):  # it is written to outside that too
            return self._make_rows()

    def _make_rows(self) -> TensorDict:
        rows, device = (self._num_rows, self.num_envs), self._device

        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(*rows, *shape, dtype=dtype, device=device)

        groups = {name: empty(*x.shape[1:], dtype=x.dtype) for name, x in self._like.items()}
        return TensorDict(
            {
                "observations": groups,
                "next_observations": {name: torch.zeros_like(x) for name, x in groups.items()},
                "actions": empty(self._num_actions),
                "rewards": empty(),
                "terminal": empty(dtype=torch.bool),  # the state after the step is worth nothing more
                "last": empty(dtype=torch.bool),  # no row follows this one in its episode
            },
            batch_size=rows,
            device=device,
        )

    @property
    def observations(self) -> TensorDict:
        """Stored observation groups. Batch size: [num_rows, num_envs]."""
        return self._rows["observations"]

    @property
    def rewards(self) -> Tensor:
        """Stored rewards. Shape: [num_rows, num_envs]."""
        return self._rows["rewards"]

    @property
    def counts(self) -> Tensor:
        """Number of samples of each environment. Shape: [num_envs]."""
        return self._counts

    def add(
        self,
        observations: TensorDict,
        actions: Tensor,
        rewards: Tensor,
        next_observations: TensorDict,
        terminal: Tensor,
        last: Tensor,
        is_known: Tensor,
    ) -> None:
        """Store a step of every environment.

        Args:
            observations: Observation groups that the actions were made from. Batch size: [num_envs].
            actions: a. Shape: [num_envs, num_actions].
            rewards: r. Shape: [num_envs].
            next_observations: Observations after the step, before a new episode began. Batch size: [num_envs].
            terminal: Whether the episode ended in a terminal state. Shape: [num_envs].
            last: Whether the episode ended at all. Shape: [num_envs].
            is_known: Whether ``next_observations`` are those. Where not, the step is left out. Shape: [num_envs].
        """
        names = list(self.observations.keys())
        step = {
            "observations": observations.select(*names),
            "next_observations": next_observations.select(*names),
            "actions": actions,
            "rewards": rewards,
            "terminal": terminal.bool(),
            "last": last.bool(),
        }
        self._rows[self._heads, self._envs] = TensorDict(step, batch_size=[self.num_envs])
        before = (self._heads - 1) % self._num_rows
        ends = self._rows["last"]
        ends[before, self._envs] = ends[before, self._envs] | ~is_known
        kept = is_known.long()
        self._heads.copy_((self._heads + kept) % self._num_rows)
        self._counts.copy_((self._counts + kept).clamp(max=self.num_kept))

    def sample(self, batch_size: int, gamma: float, num_steps: int = 1) -> Transitions:
        """Draw transitions uniformly, with repetition, from all that there are.

        Args:
            batch_size: How many.
            gamma: Discount of a step.
            num_steps: Number of steps to look ahead, as far as the episode and the buffer go.
        """
        ends = self._counts.cumsum(0)
        drawn = (torch.rand(batch_size, dtype=torch.float64, device=ends.device) * ends[-1]).long()
        env = torch.searchsorted(ends, drawn, right=True)
        age = ends[env] - drawn  # 1 for the newest of the environment
        return self._gather((self._heads[env] - age) % self._num_rows, env, age, gamma, num_steps)

    def _gather(self, row: Tensor, env: Tensor, age: Tensor, gamma: float, num_steps: int) -> Transitions:
        """Return the transitions that begin at these rows. Shape of each index: [batch]."""
        first = {name: self._rows[name][row, env] for name in ("observations", "actions")}
        rewards, discounts, goes_on = torch.zeros_like(self.rewards[row, env]), torch.ones_like(row).float(), age > 0
        end = row
        for step in range(num_steps):
            at = (row + step) % self._num_rows
            goes_on = goes_on & (age > step)
            end = torch.where(goes_on, at, end)
            rewards = rewards + torch.where(goes_on, discounts * self.rewards[at, env], 0.0)
            discounts = torch.where(goes_on, gamma * discounts, discounts)
            goes_on = goes_on & ~self._rows["last"][at, env]
        return Transitions(
            rewards=rewards,
            next_observations=self._rows["next_observations"][end, env],
            discounts=discounts * ~self._rows["terminal"][end, env],
            **first,
        )

    @property
    def _num_rows(self) -> int:
        return self.num_kept + 1  # the row to be written next holds nothing

    def state_dict(self) -> dict[str, Any]:
        """Return all that is stored, as tensors by name."""
        rows = {name: x.to_dict() if isinstance(x, TensorDict) else x for name, x in self._rows.items()}
        return {**rows, "heads": self._heads, "counts": self._counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` returned.

        Raises:
            CheckpointError: If it is of another number of environments, of another size or of other observations.
        """
        state = dict(state)
        heads, counts = state.pop("heads", None), state.pop("counts", None)
        try:
            rows = TensorDict(state, batch_size=self._rows.batch_size)
            if set(rows.keys(True, True)) != set(self._rows.keys(True, True)):
                raise ValueError("it has other parts")
            self._rows.copy_(rows)
            self._heads.copy_(heads % self._num_rows)
            self._counts.copy_(counts.clamp(0, self.num_kept))
        except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise CheckpointError(
                f"The checkpoint's replay buffer is no ring of {self.num_kept} rows of {self.num_envs} environments "
                f"with these observations: {str(error).splitlines()[0]:.200}. Set num_envs and replay_size as there."
            ) from None
