# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Fitting a flow policy to samples: the epochs that minimise the flow-matching loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rsl_dpcppo.flow.ema import update_ema
from rsl_dpcppo.flow.matching import draw_noise_and_time, flow_matching_loss
from rsl_dpcppo.flow.velocity import VelocityField
from rsl_dpcppo.learning.compilation import Compiled
from rsl_dpcppo.learning.effects import optimizer_tensors
from rsl_dpcppo.learning.sizes import check_fit


@dataclass
class FitReport:
    """What one fit did. The losses are the mean over an epoch's mini-batches, kept on the device. Shape: []."""

    first_loss: Tensor
    last_loss: Tensor
    num_epochs: int


@dataclass
class FlowFit:
    """Fits a velocity field to samples of another policy by flow matching, Algorithm 1 of arXiv 2603.04790.

    Time is drawn anew in every epoch, and so is the noise unless it is given. The averaged weights follow every
    gradient step.
    """

    velocity: VelocityField
    """The live field, changed in place."""
    ema_velocity: VelocityField | None
    """The averaged field that acts, changed in place; None for no average."""
    optimizer: torch.optim.Optimizer
    """Optimizer of the live field's parameters."""
    num_epochs: int
    """Passes over the pairs."""
    num_mini_batches: int
    """Gradient steps a pass."""
    ema_decay: float = 0.0
    """Share of the averaged weights that is kept at each gradient step."""
    annealed: bool = False
    """Whether the optimizer's step size, a tensor then, falls linearly to zero within each fit."""
    tolerance: float = 0.0
    """End early, once an epoch's loss is not below (1 - tolerance) times the best epoch's so far; 0 is off."""
    average_across_ranks: Callable[[list[Tensor]], None] | None = None
    """Replaces each tensor by its mean over all ranks; None for a single process."""
    autocast_dtype: torch.dtype | None = None
    """Run the loss in mixed precision of this type; None for full precision."""
    compile: str = "none"
    """How the gradient step runs; see :class:`~rsl_dpcppo.learning.compilation.Compiled`."""

    def __post_init__(self) -> None:
        """Prepare the gradient step."""
        self._loss = Compiled(
            flow_matching_loss,
            self.compile if self.compile == "inductor" else "none",
            lambda: {"the flow's weights": list(self.velocity.parameters())},
        )
        self._step = Compiled(self.gradient_step, self.compile if self.compile == "cudagraph" else "none", self._state)

    def fit(self, context: Tensor, target: Tensor, noise: Tensor | None = None) -> FitReport:
        """Do the epochs.

        Args:
            context: s. Shape: [batch, context_dim].
            target: a_1. Shape: [batch, num_actions].
            noise: a_n of each pair, in every epoch; None draws it. Shape: [batch, num_actions].

        Returns:
            Losses of the first and the last epoch, and the number of epochs done.

        Raises:
            ConfigError: If there are more mini-batches than pairs.
        """
        parts = (context, target) if noise is None else (context, target, noise)
        pairs = torch.cat(parts, dim=-1)
        check_fit(self.num_mini_batches, len(pairs))
        losses: list[Tensor] = []
        best = float("inf")
        rate = self.optimizer.param_groups[0]["lr"]
        first_rate = rate.clone() if self.annealed else rate
        for epoch in range(self.num_epochs):
            epoch_loss = torch.zeros((), device=target.device)
            order = torch.randperm(len(pairs), device=target.device)
            for step, batch in enumerate(pairs[order].tensor_split(self.num_mini_batches)):
                if self.annealed:
                    rate.copy_(first_rate * (1.0 - (epoch + step / self.num_mini_batches) / self.num_epochs))
                loss = self._step(*batch.split([part.shape[-1] for part in parts], dim=-1))
                epoch_loss += loss / self.num_mini_batches
            losses.append(epoch_loss)
            if self.tolerance > 0.0:
                if self.average_across_ranks is not None:
                    self.average_across_ranks([epoch_loss])
                current = epoch_loss.item()  # the one synchronisation an epoch that stopping early asks for
                if current > (1.0 - self.tolerance) * best:
                    break
                best = current
        if self.annealed:
            rate.copy_(first_rate)
        self.optimizer.zero_grad(set_to_none=True)
        return FitReport(losses[0], losses[-1], len(losses))

    def gradient_step(self, context: Tensor, target: Tensor, noise: Tensor | None = None) -> Tensor:
        """Make one gradient step on a mini-batch, and move the averaged weights.

        Args:
            context: s. Shape: [mini_batch, context_dim].
            target: a_1. Shape: [mini_batch, num_actions].
            noise: a_n; None draws it. Shape: [mini_batch, num_actions].

        Returns:
            The loss (12) before the step. Shape: [].
        """
        drawn_noise, time = draw_noise_and_time(target)
        noise = drawn_noise if noise is None else noise
        with torch.autocast(target.device.type, dtype=self.autocast_dtype, enabled=self.autocast_dtype is not None):
            loss = self._loss(self.velocity, context, target, noise, time)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.average_across_ranks is not None:
            gradients = [parameter.grad for parameter in self.velocity.parameters()]
            self.average_across_ranks([gradient for gradient in gradients if gradient is not None])
        self.optimizer.step()
        if self.ema_velocity is not None:
            update_ema(self.ema_velocity, self.velocity, self.ema_decay)
        return loss.detach()

    def _state(self) -> Mapping[str, Sequence[Tensor]]:
        """Return what a gradient step changes."""
        return {
            "the flow's weights": list(self.velocity.parameters()),
            "the averaged weights": list(self.ema_velocity.parameters()) if self.ema_velocity is not None else [],
            **optimizer_tensors(self.optimizer),
        }

    def forget_recorded_steps(self) -> None:
        """Record the gradient step anew: to be called after the optimizer has loaded a state."""
        self._step.reset()
