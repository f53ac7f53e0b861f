# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How it is measured: seconds of each phase, operators, synchronisations, arithmetic and memory of an iteration."""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg
from rsl_dpcppo.algorithms.dpcppo_fold.config import ERROR_STATES, DPCPPOFoldRunnerCfg
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.config import RunnerCfg

PHASES = ("environment", "act", "returns", "update", "fit")
"""Parts of an iteration. PPO has no fit; act holds the storing of the step too."""


@dataclass
class Counts:
    """What an iteration costs on any machine."""

    operators: int
    """Operators that compute something: each is a launch on a GPU. Views are none."""
    synchronisations: int
    """Times that the host asks the device for a value, and so waits for it."""
    gigaflops: float
    """Floating-point operations of matrix products, forward and backward, in billions."""


class Learner:
    """A runner's algorithm and environment, driven one iteration at a time as the runner drives them."""

    def __init__(self, cfg: RunnerCfg, env: Any, device: str) -> None:
        """Build fresh networks.

        Args:
            cfg: The agent.
            env: RSL-RL's vectorised environment.
            device: torch's device.
        """
        torch.manual_seed(0)
        with contextlib.redirect_stdout(io.StringIO()):  # RSL-RL prints every network it builds
            self.runner = Runner(env, to_rsl_rl(cfg), log_dir=tempfile.mkdtemp(prefix="benchmark_"), device=device)
        self.num_steps = cfg.num_steps_per_env
        self.has_fit = isinstance(cfg, DPCPPORunnerCfg)
        self._cuda = torch.device(device).type == "cuda"
        self._observations = env.get_observations().to(device)

    def iterate(self) -> dict[str, float]:
        """Do an iteration.

        Returns:
            Seconds of each phase, and of the "iteration". Between phases the host waits for the device: once a phase
            of a rollout's step, which adds some microseconds to each.
        """
        seconds = dict.fromkeys(PHASES, 0.0)
        alg, env = self.runner.alg, self.runner.env
        began = self._now()
        with torch.inference_mode():
            for _ in range(self.num_steps):
                with self._phase(seconds, "act"):
                    actions = alg.act(self._observations)
                with self._phase(seconds, "environment"):
                    observations, rewards, dones, extras = env.step(actions)
                with self._phase(seconds, "act"):
                    alg.process_env_step(observations, rewards, dones, extras)
                self._observations = observations
            with self._phase(seconds, "returns"):
                alg.compute_returns(observations)
        with self._phase(seconds, "update"):
            losses = alg.update()
        seconds["iteration"] = self._now() - began
        seconds["fit"] = losses.get("seconds_fit", 0.0)
        seconds["update"] -= seconds["fit"]
        return seconds

    def count(self, period: int = 1) -> Counts:
        """Count what an iteration does, in the mean over a period of several."""
        with FlopCounterMode(display=False) as flops, OperatorCounter() as counter:
            for _ in range(period):
                self.iterate()
        return Counts(
            round(counter.operators / period),
            round(counter.synchronisations / period),
            flops.get_total_flops() / period / 1e9,
        )

    def _now(self) -> float:
        if self._cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def _phase(self, seconds: dict[str, float], name: str) -> Iterator[None]:
        began = self._now()
        yield
        seconds[name] += self._now() - began


def mean_seconds(times: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean over iterations of the seconds of each phase."""
    return {name: statistics.fmean(seconds[name] for seconds in times) for name in times[0]}


class OperatorCounter(TorchDispatchMode):
    """Counts operators as they reach the device, those of the backward pass included."""

    def __init__(self) -> None:
        """Start at nothing."""
        super().__init__()
        self.calls: Counter[str] = Counter()

    @property
    def operators(self) -> int:
        """Number of operators that compute."""
        return sum(self.calls.values())

    @property
    def synchronisations(self) -> int:
        """Number of operators that hand a value to the host."""
        return sum(number for name, number in self.calls.items() if name in _SYNCHRONISING)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operator and run it."""
        is_view = any(result.alias_info and not result.alias_info.is_write for result in func._schema.returns)
        if not is_view and func._schema.name not in _FREE:
            self.calls[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


_SYNCHRONISING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero")
_FREE = ("aten::detach", "aten::empty.memory_format", "aten::empty", "aten::empty_like", "aten::empty_strided")
"""Operators that launch nothing."""


def minimum_gigaflops(cfg: RunnerCfg, num_observations: int, num_actions: int) -> float:
    """Return the floating-point operations that an iteration needs by the algorithm, in billions.

    Only matrix products count, two operations for each product of numbers. A gradient step takes three times the
    forward pass, but for the first layer, whose input needs no gradient. The context's share of the flow's first layer
    is the same at every step of the solver.

    Args:
        cfg: PPO, DP-CPPO, or DP-CPPO with rare folds.
        num_observations: Numbers in an observation.
        num_actions: Numbers in an action.
    """
    samples = cfg.num_envs * cfg.num_steps_per_env
    is_flow = isinstance(cfg, DPCPPORunnerCfg)
    kernel_inputs = num_observations + (num_actions if is_flow else 0)
    actor = _products(kernel_inputs, cfg.actor.hidden_dims, num_actions)
    critic = _products(num_observations, cfg.critic.hidden_dims, 1)
    first = kernel_inputs * cfg.actor.hidden_dims[0] + num_observations * cfg.critic.hidden_dims[0]
    total: float = samples * (actor + critic) + cfg.num_envs * critic  # rollout, and the last value
    total += cfg.algorithm.num_learning_epochs * samples * (3 * (actor + critic) - first)
    if isinstance(cfg, DPCPPORunnerCfg):
        widths, over_context = cfg.actor.flow_hidden_dims, cfg.actor.flow_context_dims
        context = _products(num_observations, over_context, widths[0])
        step = _products(num_actions, widths, num_actions)
        sample = context + cfg.actor.flow_steps * step
        first_layers = num_observations * [*over_context, widths[0]][0] + num_actions * widths[0]
        flow_matching = 3 * (context + step) - first_layers
        total += samples * sample  # rollout
        fitted: float = samples
        if isinstance(cfg, DPCPPOFoldRunnerCfg):
            period = cfg.algorithm.fold_interval
            noise = _products(num_observations, cfg.actor.hidden_dims, num_actions)
            fitted = min(cfg.algorithm.fold_states, period * samples) / period
            total += samples * noise + fitted * (noise + actor) + min(ERROR_STATES / period, fitted) * sample
            epochs = cfg.algorithm.num_learning_epochs
            total += epochs * samples * (3 * noise - num_observations * cfg.actor.hidden_dims[0])
        else:
            total += fitted * (sample + actor)  # the fit's fresh targets
        total += cfg.algorithm.flow_num_epochs * fitted * flow_matching
    return 2 * total / 1e9


def fold_interval(cfg: RunnerCfg) -> int:
    """Return how many iterations an agent needs to do everything that it does: those from one fold to the next."""
    return getattr(cfg.algorithm, "fold_interval", 1)


def _products(num_inputs: int, hidden_dims: list[int], num_outputs: int) -> int:
    """Return the products of numbers in a perceptron's forward pass, for one sample."""
    widths = [num_inputs, *hidden_dims, num_outputs]
    return sum(first * second for first, second in pairwise(widths))
