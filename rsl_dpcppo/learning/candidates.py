# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A policy that draws several actions and takes the one that its critics like best."""

# No postponed annotations here: TorchScript reads those of methods as types.

from typing import Any

from torch import Tensor, nn

from rsl_dpcppo.learning.critics import TwinCritics
from rsl_dpcppo.learning.head import PolicyHead


def repeated(context: Tensor, number: int) -> Tensor:
    """Return each row so many times, one after the other. Shape: [batch, width] -> [batch * number, width]."""
    return context.unsqueeze(1).expand(-1, number, -1).reshape(-1, context.shape[1])


def choose(actions: Tensor, values: Tensor) -> Tensor:
    """Return the candidate of the largest value, the first of several.

    Args:
        actions: Candidates. Shape: [batch, num_candidates, num_actions].
        values: What the critics say of them. Shape: [batch, num_candidates].

    Returns:
        Actions. Shape: [batch, num_actions].
    """
    best = values.argmax(dim=1).view(-1, 1, 1).expand(-1, 1, actions.shape[2])
    return actions.gather(1, best).squeeze(1)


class CandidateHead(PolicyHead):
    """Acts within a box: one action, or the best of several candidates where there are critics to choose.

    The noise of all candidates is one vector, one candidate's after the other's.
    """

    def __init__(
        self, flow: nn.Module, inference_noise: str, candidate_width: int, squash_actions: bool, action_scale: float
    ) -> None:
        """Wrap a flow; see :class:`~rsl_dpcppo.learning.head.PolicyHead`.

        Args:
            flow: (noise [batch, candidate_width], context [batch, context_dim]) -> action [batch, num_actions].
            inference_noise: "random", "zero", or a seed in digits.
            candidate_width: Width of the noise of one candidate.
            squash_actions: Whether the action is tanh of what the flow makes, rather than clipped to [-1, 1].
            action_scale: Half of the box's width: what actions in [-1, 1] are multiplied with.
        """
        self.inference_noise = inference_noise
        super().__init__(flow, inference_noise, candidate_width, squash_actions)
        self.candidate_width = candidate_width
        self.action_scale = action_scale
        self.num_candidates = 1
        self.critics: Any = None

    def set_inference(self, policy: str, noise: str) -> None:
        """Choose how to act; see :meth:`~rsl_dpcppo.learning.head.PolicyHead.set_inference`."""
        super().set_inference(policy, noise)
        self.inference_noise = str(noise)

    def set_candidates(self, number: int, critics: TwinCritics | None) -> None:
        """Choose among several candidates from now on.

        Args:
            number: How many.
            critics: Who chooses; None for nobody, and one candidate.
        """
        self.critics = critics
        self.num_candidates = number if critics is not None else 1
        self.noise_width = self.num_candidates * self.candidate_width
        self.fixed_noise = self.fixed_noise.new_zeros(self.noise_width)
        self.set_inference(self.policy, self.inference_noise)

    def act(self, noise: Tensor, context: Tensor) -> Tensor:
        """Act from a given initial noise of shape [batch, noise_width]."""
        return self.action_scale * self.unit_action(noise, context)

    def only_action(self, noise: Tensor, context: Tensor) -> Tensor:
        """Act in [-1, 1] without a choice. Shapes: [batch, candidate_width] and [batch, context_dim]."""
        action = self.flow(noise, context)
        return action.tanh() if self.squash_actions else action.clamp(-1.0, 1.0)

    def unit_action(self, noise: Tensor, context: Tensor) -> Tensor:
        """Act in [-1, 1]. Shapes: [batch, noise_width] and [batch, context_dim]."""
        if self.critics is None:
            return self.only_action(noise, context)
        if self.num_candidates == 1:
            return self.only_action(noise, context)
        many = repeated(context, self.num_candidates)
        actions = self.flow(noise.reshape(-1, self.candidate_width), many).clamp(-1.0, 1.0)
        values = self.critics.minimum(many, actions)
        actions = actions.reshape(-1, self.num_candidates, self.num_actions)
        return choose(actions, values.reshape(-1, self.num_candidates))
