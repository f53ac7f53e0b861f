# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Denoising chains: DDPM with a Gaussian kernel in each step, as DPPO, DPMD and SDAC have it.

DPPO is arXiv 2409.00588 (section 4), the other two are arXiv 2502.00361.
"""

# No postponed annotations here: TorchScript reads those of buffers from the class, as types.

import math

import torch
from torch import Tensor, nn

from rsl_dpcppo.flow.velocity import VelocityField


def cosine_betas(num_steps: int) -> Tensor:
    """Return the variances beta_k of the cosine schedule (arXiv 2102.09672, equation 17). Shape: [num_steps]."""
    steps = torch.linspace(0.0, 1.0, num_steps + 1, dtype=torch.float64)
    kept = torch.cos((steps + 0.008) / 1.008 * math.pi / 2.0).square()
    return (1.0 - kept[1:] / kept[:-1]).clamp(max=0.999)


def linear_betas(num_steps: int, scale: float) -> Tensor:
    """Return variances beta_k that rise linearly from 0.0001 to 0.999 times a scale. Shape: [num_steps]."""
    return scale * torch.linspace(1e-4, 0.999, num_steps, dtype=torch.float64)


PLAYED_MIN_STD = 1e-3
"""Smallest standard deviation of a step at play time but the last, in actions: the authors' code has it."""


class DenoisingChain(nn.Module):
    """Carries noise a^K to an action a^0 by K Gaussian steps, whose means a network's noise estimate sets.

    The noise of all steps is drawn at once, as [a^K, the first step's, ..., the last step's].
    """

    signal: Tensor
    noise: Tensor
    kept: Tensor
    added: Tensor
    from_denoised: Tensor
    from_present: Tensor
    std: Tensor
    played_std: Tensor

    def __init__(
        self,
        velocity: VelocityField,
        num_steps: int,
        min_std: float,
        noise_clip: float,
        denoised_clip: float,
        betas: Tensor | None = None,
        start_scale: float = 1.0,
        played_min_std: float = PLAYED_MIN_STD,
    ) -> None:
        """Wrap a network.

        Args:
            velocity: The noise estimate eps(a^k, k / K, s); a network as that of a flow.
            num_steps: Number K of denoising steps.
            min_std: Smallest standard deviation of a step while training, in actions.
            noise_clip: Largest noise of a step, in standard deviations.
            denoised_clip: Largest component of the action that a step predicts.
            betas: Variance that each step of the noising adds; None for the cosine schedule. Shape: [num_steps].
            start_scale: Standard deviation of a^K.
            played_min_std: Smallest standard deviation of a step at play time but the last, in actions.
        """
        super().__init__()
        self.velocity = velocity
        self.num_steps = num_steps
        self.noise_clip = noise_clip
        self.denoised_clip = denoised_clip
        self.start_scale = start_scale
        betas = cosine_betas(num_steps) if betas is None else betas
        kept = torch.cumprod(1.0 - betas, dim=0)
        kept_before = torch.cat((torch.ones(1, dtype=torch.float64), kept[:-1]))
        std = (betas * (1.0 - kept_before) / (1.0 - kept)).sqrt()
        played_std = std.clamp(min=played_min_std)
        played_std[0] = 0.0
        schedule = {
            "signal": kept.rsqrt(),
            "noise": (1.0 / kept - 1.0).sqrt(),
            "kept": kept.sqrt(),
            "added": (1.0 - kept).sqrt(),
            "from_denoised": betas * kept_before.sqrt() / (1.0 - kept),
            "from_present": (1.0 - betas).sqrt() * (1.0 - kept_before) / (1.0 - kept),
            "std": std.clamp(min=min_std),
            "played_std": played_std,
        }
        for name, values in schedule.items():
            self.register_buffer(name, values.float(), persistent=False)

    @property
    def noise_width(self) -> int:
        """Width of the noise of a chain."""
        return (self.num_steps + 1) * self.velocity.num_actions

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """Denoise as at play time: with the schedule's own noise in every step but the last.

        Args:
            noise: a^K, and each step's. Shape: [batch, noise_width].
            context: s. Shape: [batch, context_dim].

        Returns:
            a^0. Shape: [batch, num_actions].
        """
        return self.chain(noise, context, self.played_std)[-1]

    def mean(self, action: Tensor, step: Tensor, embedding: Tensor) -> Tensor:
        """Return the mean of the Gaussian over the next, less noisy action.

        Args:
            action: a^(k+1). Shape: [batch, num_actions].
            step: k, which counts down to 0. Shape: [batch, 1], or [1, 1] for all.
            embedding: What ``velocity.embed`` returned for s. Shape: [batch, width].

        Returns:
            Mean of a^k. Shape: [batch, num_actions].
        """
        estimate = self.estimate(action, step, embedding)
        denoised = self.signal[step] * action - self.noise[step] * estimate
        denoised = denoised.clamp(-self.denoised_clip, self.denoised_clip)
        return self.from_denoised[step] * denoised + self.from_present[step] * action

    def estimate(self, action: Tensor, step: Tensor, embedding: Tensor) -> Tensor:
        """Return eps(a^(k+1), k / K, s), the noise that the network sees in an action. Shapes as in :meth:`mean`."""
        return self.velocity(action, step / self.num_steps, embedding)

    def noised(self, action: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Return sqrt(abar_k) a + sqrt(1 - abar_k) eps, an action with the noise of all steps from 0 to k.

        Args:
            action: a. Shape: [batch, num_actions].
            noise: eps from N(0, I). Shape: [batch, num_actions].
            step: k. Shape: [batch, 1].
        """
        return self.kept[step] * action + self.added[step] * noise

    def draw_step(self, batch_size: int) -> Tensor:
        """Draw the numbers k of steps, uniformly. Shape: [batch_size, 1]."""
        return torch.randint(self.num_steps, (batch_size, 1), device=self.kept.device)

    def sample(self, noise: Tensor, context: Tensor) -> Tensor:
        """Draw a chain as while training: no step's noise is smaller than ``min_std``.

        Args:
            noise: a^K, and each step's. Shape: [batch, noise_width].
            context: s. Shape: [batch, context_dim].

        Returns:
            a^K to a^0. Shape: [batch, num_steps + 1, num_actions].
        """
        return torch.stack(self.chain(noise, context, self.std), dim=1)

    def chain(self, noise: Tensor, context: Tensor, std: Tensor) -> list[Tensor]:
        """Return a^K to a^0, with a standard deviation for each step. Shape of each: [batch, num_actions]."""
        embedding = self.velocity.embed(context)
        noises = noise.split(self.velocity.num_actions, dim=-1)
        chain = [self.start_scale * noises[0]]
        for drawn, step in zip(noises[1:], range(self.num_steps - 1, -1, -1), strict=True):
            # One row, which broadcasts: all actions are at the same step.
            mean = self.mean(chain[-1], torch.full_like(drawn[:1, :1], step, dtype=torch.long), embedding)
            chain.append(mean + std[step] * drawn.clamp(-self.noise_clip, self.noise_clip))
        return chain

    def log_prob(self, chain: Tensor, context: Tensor) -> Tensor:
        """Return log p(a^k | a^(k+1), s) of each step, as DPPO takes it: within [-5, 2], averaged over the action.

        Args:
            chain: a^K to a^0. Shape: [batch, num_steps + 1, num_actions].
            context: s. Shape: [batch, context_dim].

        Returns:
            Log densities, of the first step first. Shape: [batch, num_steps].
        """
        batch, _, num_actions = chain.shape
        step = torch.arange(self.num_steps - 1, -1, -1, device=chain.device).repeat(batch).unsqueeze(-1)
        embedding = self.velocity.embed(context).repeat_interleave(self.num_steps, dim=0)
        mean = self.mean(chain[:, :-1].reshape(-1, num_actions), step, embedding)
        std = self.std[step]
        error = (chain[:, 1:].reshape(-1, num_actions) - mean) / std
        log_prob = -0.5 * error.square() - std.log() - 0.5 * math.log(2.0 * math.pi)
        return log_prob.clamp(-5.0, 2.0).mean(dim=-1).view(batch, self.num_steps)
