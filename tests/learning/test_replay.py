# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The replay buffer: what is drawn from it was there, and belongs together."""

from __future__ import annotations

import copy

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.errors import CheckpointError
from rsl_dpcppo.learning.replay import ReplayBuffer, Transitions


def observed(values: Tensor) -> TensorDict:
    return TensorDict({"policy": values.float()[:, None]}, batch_size=[len(values)])


def filled(size: int, steps: int, num_envs: int = 2, episode: int = 0, knows_last: bool = True) -> ReplayBuffer:
    """A counter in each environment: s = 100 env + t, a = s + 0.5, r = 1, s' = s + 1; times out every ``episode``."""
    start = 100.0 * torch.arange(num_envs)
    buffer = ReplayBuffer(size, observed(start), 1, torch.device("cpu"))
    for t in range(steps):
        out = torch.full((num_envs,), bool(episode) and (t + 1) % episode == 0)
        s = start + t
        given = torch.full_like(s, -7.0) if out.all() and not knows_last else s + 1.0
        never = torch.zeros_like(out)
        buffer.add(observed(s), s[:, None] + 0.5, torch.ones(num_envs), observed(given), never, out, ~out | knows_last)
    return buffer


def states(batch: Transitions) -> tuple[Tensor, Tensor]:
    return batch.observations["policy"][:, 0], batch.next_observations["policy"][:, 0]


def test_transitions_belong_together_and_all_are_drawn() -> None:
    torch.manual_seed(0)
    buffer = filled(size=100, steps=8)
    assert buffer.counts.tolist() == [8, 8]
    batch = buffer.sample(2000, gamma=0.9)
    before, after = states(batch)
    assert torch.equal(after, before + 1.0)
    assert torch.equal(batch.actions[:, 0], before + 0.5)
    assert torch.equal(batch.discounts, torch.full_like(after, 0.9))
    values, counts = before.unique(return_counts=True)
    assert values.tolist() == [*range(8), *range(100, 108)]
    assert (counts - 125).abs().max() < 50


def test_a_full_ring_forgets_the_oldest() -> None:
    torch.manual_seed(0)
    buffer = filled(size=10, steps=23)  # of 5 rows each
    assert buffer.counts.tolist() == [5, 5]
    before, after = states(buffer.sample(500, gamma=0.9))
    assert before.unique().tolist() == [*range(18, 23), *range(118, 123)]
    assert torch.equal(after, before + 1.0)


def test_several_steps_end_with_the_episode_and_with_the_newest() -> None:
    torch.manual_seed(0)
    batch = filled(size=100, steps=8, episode=5).sample(500, gamma=0.5, num_steps=3)
    before, after = states(batch)
    t = before % 100
    steps = torch.minimum(torch.where(t < 5, 5 - t, 8 - t), torch.tensor(3.0))
    assert torch.equal(after - before, steps)
    torch.testing.assert_close(batch.rewards, 2.0 - 2.0 * 0.5**steps)
    torch.testing.assert_close(batch.discounts, 0.5**steps)


@pytest.mark.parametrize("num_steps", [1, 3])
@pytest.mark.parametrize("size", [100, 12])
def test_time_outs_without_a_true_observation_are_left_out(num_steps: int, size: int) -> None:
    """No step leads into the next episode, and what came before counts on from the last known observation."""
    torch.manual_seed(0)
    buffer = filled(size, steps=20, episode=5, knows_last=False)
    before, after = states(buffer.sample(1000, gamma=0.9, num_steps=num_steps))
    assert buffer.counts[0] == min(16, size // 2)
    assert not (before % 5 == 4).any()
    assert (after >= 0).all()
    assert torch.equal(after - before, torch.minimum(4 - before % 5, torch.tensor(float(num_steps))))


def test_time_outs_with_it_count_on_and_terminal_states_do_not() -> None:
    torch.manual_seed(0)
    buffer = filled(size=100, steps=5, episode=5)
    ends, known = torch.ones(2, dtype=torch.bool), torch.ones(2, dtype=torch.bool)
    s = torch.tensor([50.0, 150.0])
    buffer.add(observed(s), s[:, None], torch.ones(2), observed(s + 1.0), ends, ends, known)
    batch = buffer.sample(500, gamma=0.9)
    before, _ = states(batch)
    assert torch.equal(batch.discounts == 0.0, before % 100 == 50)


def test_environments_of_other_lengths_are_drawn_by_their_samples() -> None:
    torch.manual_seed(0)
    buffer = ReplayBuffer(100, observed(torch.zeros(2)), 1, torch.device("cpu"))
    none = torch.zeros(2, dtype=torch.bool)
    for t in range(9):
        s = torch.tensor([float(t), 100.0 + t])
        known = torch.tensor([True, t % 3 == 0])
        buffer.add(observed(s), s[:, None], s, observed(s + 1.0), none, ~known, known)
    before, _ = states(buffer.sample(4000, gamma=0.9))
    assert buffer.counts.tolist() == [9, 3]
    assert (before < 100).float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert before.unique().tolist() == [*range(9), 100, 103, 106]


def test_what_was_saved_draws_the_same_and_goes_on() -> None:
    buffer, other = filled(size=10, steps=13), filled(size=10, steps=2)
    other.load_state_dict(copy.deepcopy(buffer.state_dict()))
    for each in (buffer, other):
        never = torch.zeros(2, dtype=torch.bool)
        s = torch.tensor([13.0, 113.0])
        each.add(observed(s), s[:, None], s, observed(s + 1.0), never, never, ~never)
    batches = []
    for each in (buffer, other):
        torch.manual_seed(3)
        batches.append(each.sample(50, gamma=0.9))
    assert torch.equal(states(batches[0])[1], states(batches[1])[1])
    with pytest.raises(CheckpointError, match="no ring of 50 rows of 2 environments"):
        filled(size=100, steps=1).load_state_dict(buffer.state_dict())
