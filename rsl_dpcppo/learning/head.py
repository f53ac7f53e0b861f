# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A flow policy as one network head, in the place where RSL-RL's models have their MLP."""

# No postponed annotations here: TorchScript reads the annotation of fixed_noise from the class, as a type.

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rsl_dpcppo.config.checks import check_choice, check_noise
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.flow.solver import FlowSolver


class PolicyHead(nn.Module):
    """Maps a context to an action as in inference: initial noise, then the flow.

    The head scripts and exports as it stands: RSL-RL's and Isaac Lab's own exporters copy it like any MLP. Isaac Lab's
    reads the input's width from ``actor[0].in_features``, hence :meth:`__getitem__` and :attr:`in_features`.
    """

    policies: ClassVar[tuple[str, ...]] = ("flow",)
    """What can act; see :meth:`set_inference`."""

    fixed_noise: Tensor

    def __init__(
        self, flow: nn.Module, inference_noise: str, noise_width: int = 0, squash_actions: bool = False
    ) -> None:
        """Wrap a flow, whose parameters are frozen here.

        Args:
            flow: (noise [batch, noise_width], context [batch, context_dim]) -> action [batch, num_actions]. Has a
                ``velocity`` and a number of steps, ``num_steps``.
            inference_noise: "random", "zero", or a seed in digits; see :meth:`set_inference`.
            noise_width: Width of the initial noise; 0 for that of the action.
            squash_actions: Whether the action is tanh of what the flow makes.
        """
        super().__init__()
        velocity: Any = flow.velocity
        self.in_features: int = velocity.context_dim
        self.num_actions: int = velocity.num_actions
        self.noise_width = noise_width or self.num_actions
        self.flow: Any = flow.requires_grad_(False)
        self.squash_actions = squash_actions
        # Not part of a checkpoint: a policy may be played with another noise than it was trained with.
        self.register_buffer("fixed_noise", torch.zeros(self.noise_width), persistent=False)
        self.random_noise = True
        self.set_inference(self.policies[0], inference_noise)

    def set_inference(self, policy: str, noise: str) -> None:
        """Choose how :meth:`forward` acts.

        Args:
            policy: One of :attr:`policies`: "flow", or "flow_residual", which adds the mean residual to the flow's
                action, where there is one.
            noise: "random" draws the initial noise from N(0, I) at every call; "zero" takes none; digits are a seed
                that draws one noise, used for every state and call. The latter two make the action a function of the
                observation alone, which is reproducible but shows one of the policy's modes only.

        Raises:
            ConfigError: If a setting is none of these.
        """
        check_choice("inference_policy", policy, self.policies)
        self.policy = policy
        noise = check_noise("inference_noise", noise)
        self.random_noise = noise == "random"
        self.fixed_noise.zero_()
        if noise.isdigit():
            generator = torch.Generator().manual_seed(int(noise))
            self.fixed_noise.copy_(torch.randn(self.noise_width, generator=generator))

    def set_num_steps(self, num_steps: int) -> None:
        """Change the number of solver steps.

        Raises:
            ConfigError: If the policy was trained for a number of its own.
        """
        if num_steps != self.flow.num_steps and not isinstance(self.flow, FlowSolver):
            raise ConfigError(
                f"flow_steps is {num_steps}; a {type(self.flow).__name__} takes the steps that it was trained with: it "
                f"must be {self.flow.num_steps}."
            )
        self.flow.num_steps = num_steps

    def forward(self, context: Tensor) -> Tensor:
        """Act.

        Args:
            context: s. Shape: [batch, context_dim].

        Returns:
            The action. Shape: [batch, num_actions].
        """
        noise = self.fixed_noise.expand(context.shape[0], self.noise_width)
        if self.random_noise:
            noise = torch.randn_like(noise)
        return self.act(noise, context)

    def act(self, noise: Tensor, context: Tensor) -> Tensor:
        """Act from a given initial noise of shape [batch, noise_width]."""
        action = self.flow(noise, context)
        return action.tanh() if self.squash_actions else action

    def __getitem__(self, index: int) -> "PolicyHead":
        """Return the head itself as its first layer, whose input it has.

        Raises:
            IndexError: If another layer is asked for; this also ends an iteration.
        """
        if index != 0:
            raise IndexError(f"A flow head has one layer to offer, 0, and {index} was asked for.")
        return self
