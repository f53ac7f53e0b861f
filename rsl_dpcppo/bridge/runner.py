# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL's runner with safe checkpoint files, for the tasks that this package launches itself."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import signal
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from rsl_rl.runners import OnPolicyRunner
from torch import Tensor

from rsl_dpcppo.bridge.action_space import check_action_space
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.logs import Iteration, LoggedCfg, upload_figures
from rsl_dpcppo.bridge.off_policy import OffPolicy
from rsl_dpcppo.bridge.ppo import FlowPPO
from rsl_dpcppo.bridge.stopping import StopRequest
from rsl_dpcppo.checkpoint import WEIGHTS, check_types, not_finite, read_checkpoint, write_checkpoint
from rsl_dpcppo.errors import CheckpointError, EnvError, NonFiniteError, RankError, StoppedError
from rsl_dpcppo.learning.environment import (
    blame_dones,
    blame_rollout,
    blame_step,
    check_environment,
    check_step,
    keep_dones_as_given,
)
from rsl_dpcppo.learning.guard import guard_optimizer, weights_are_finite
from rsl_dpcppo.learning.ranks import is_loss_of_a_rank, largest_across_ranks, place
from rsl_dpcppo.learning.sizes import check_rollout
from rsl_dpcppo.learning.step_size import set_rate


@contextlib.contextmanager
def replaced(owner: Any, name: str, method: Callable[..., Any]) -> Iterator[None]:
    """Put a function in the place of an object's method for a while."""
    before = vars(owner).get(name)
    setattr(owner, name, method)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)  # the class's is found again
        else:
            setattr(owner, name, before)


OURS = (FlowPPO, OffPolicy)
"""Algorithms whose learners look after what they are given and what they make of it."""

STD_IS_SPENT = "A standard deviation is not above 0; std_type 'log' keeps it there."


class _BetweenIterationsError(Exception):
    """Leaves RSL-RL's loop before an iteration."""


class Runner(OnPolicyRunner):
    """RSL-RL's runner, unchanged but for checkpoints, signals, and several processes on CPUs.

    Checkpoints are written atomically, read without executing code, and hold the environment's state where it has one,
    so that a resumed run is the run that was not interrupted. Their content is RSL-RL's: each runner reads the other's.
    """

    device: str

    def __init__(self, env: Any, train_cfg: dict[str, Any], log_dir: str | None = None, device: str = "cpu") -> None:
        """Build as RSL-RL does, after a look at the environment.

        Raises:
            ConfigError: If its actions are not continuous.
            EnvError: If it gives what RSL-RL cannot take.
        """
        check_action_space(env)
        groups = train_cfg.get("obs_groups") or {}
        check_environment(env, {"policy", *(name for names in groups.values() for name in names)})
        here = place()
        if here is not None and here.rank > 0:
            log_dir = os.devnull  # process 0 alone writes, but RSL-RL 3.3 makes a path for every one
        if type(env.cfg) is dict and train_cfg.get("logger", "tensorboard") != "tensorboard":
            env.cfg = LoggedCfg(env.cfg)
        super().__init__(env, train_cfg, log_dir, device)
        if not isinstance(self.alg, OURS):
            guard_optimizer(self.alg.optimizer)
            if self.alg.rnd:
                guard_optimizer(generation.make_host(self.alg).rnd_optimizer)
            keep_dones_as_given(self.alg.storage)

    def check_sizes(self) -> None:
        """Refuse more mini-batches than samples. For training alone: whoever plays may have few environments.

        Raises:
            ConfigError: Names the field, its value and the largest that is right.
        """
        if isinstance(self.alg, FlowPPO):
            self.alg.learner.check_sizes()
        elif not isinstance(self.alg, OffPolicy):
            check_rollout(generation.make_host(self.alg))

    def _configure_multi_gpu(self) -> None:
        """Join the other processes as RSL-RL does, which takes GPUs alone; here CPUs too, by Gloo."""
        if torch.device(self.device).type != "cpu":
            return super()._configure_multi_gpu()
        device, join = self.device, torch.distributed.init_process_group
        self.device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"  # what RSL-RL compares it with
        try:
            with (
                replaced(torch.distributed, "init_process_group", lambda backend, **where: join("gloo", **where)),
                replaced(torch.cuda, "set_device", lambda _: None),
            ):
                return super()._configure_multi_gpu()
        finally:
            self.device = device

    def open_logger(self) -> None:
        """Open the logging service ahead of :meth:`learn`, and keep it open for what is made after it.

        What is wrong with the service shows before anything is trained.
        """
        generation.open_writer(self)

    def close_logger(self, folder: Path) -> None:
        """Log the pictures and videos of a folder, and close what :meth:`open_logger` opened."""
        writer = generation.writer(self)
        if writer is not None:  # as it is in all processes but the first
            upload_figures(writer, folder, self.current_learning_iteration)
        generation.close_writer(self)

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """Let the policy act in between: gradients, random numbers and the networks' mode are kept from it."""
        cuda = [torch.device(self.device)] if torch.device(self.device).type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(cuda):
            yield
        generation.train_mode(self)

    def learn(
        self,
        num_learning_iterations: int,
        init_at_random_ep_len: bool = False,
        after_iteration: Callable[[Iteration], None] | None = None,
    ) -> None:
        """Train as RSL-RL does; a signal that asks to end is followed after the present iteration, with a checkpoint.

        Args:
            num_learning_iterations: Iterations to do.
            init_at_random_ep_len: Whether the environments' first episodes begin anywhere within their length.
            after_iteration: Takes each iteration that was logged, and what RSL-RL would print of it.

        Raises:
            ConfigError: If there are more mini-batches than samples.
            StoppedError: After such a signal.
            RankError: If another process of this training has ended.
            EnvError: If the environment gives what RSL-RL cannot take.
            NonFiniteError: If the environment gives what is not a number, or weights are none.
        """
        self.check_sizes()
        act, step, update = self.alg.act, self.env.step, self.alg.update
        stored_name = self.alg.model.flow_policy.stored_name if isinstance(self.alg, FlowPPO) else ""
        steps, done = self.cfg["num_steps_per_env"], 0
        given: Any = None

        def act_unless_asked_to_stop(obs: Any) -> Any:
            nonlocal done
            if done % steps == 0 and self._is_asked_to_stop(request):
                raise _BetweenIterationsError
            done += 1
            return act(obs)

        def checked_step(actions: Tensor) -> Any:
            nonlocal given
            given = step(actions)
            check_step(given, self.alg.storage, stored_name)
            return given

        def checked_update() -> dict[str, float]:
            if isinstance(self.alg, OURS):
                return update()
            if reason := blame_dones(self.alg.storage.dones):
                raise EnvError(reason)
            losses = update()
            if not all(map(math.isfinite, losses.values())):
                reason = blame_rollout(self.alg.storage, given[0]) or f"Not finite in this update: {losses}."
                raise NonFiniteError(f"{reason} Training stops; the last checkpoint is from before it.")
            return losses

        owner, total = generation.log_owner(self), self.current_learning_iteration + num_learning_iterations
        log = owner.log

        def log_quietly(*args: Any, **kwargs: Any) -> None:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                log(*args, **kwargs)
            if table := printed.getvalue():  # processes that do not log print nothing
                rewards = generation.returns(self, args)
                mean = statistics.fmean(rewards) if rewards else None
                after_iteration(Iteration(self.current_learning_iteration, total, mean, table))  # type: ignore[misc]

        with (
            StopRequest() as request,
            replaced(owner, "log", log_quietly if after_iteration else log),
            replaced(self.alg, "act", act_unless_asked_to_stop),
            replaced(self.env, "step", checked_step),
            replaced(self.alg, "update", checked_update),
        ):
            try:
                super().learn(num_learning_iterations, init_at_random_ep_len)
            except _BetweenIterationsError:
                pass
            except EnvError:
                raise
            except (ValueError, RuntimeError) as error:
                if self.is_distributed and is_loss_of_a_rank(error):
                    raise RankError(
                        "Another process of this training has ended; its own message says why. Training stops; the "
                        "last checkpoint is from before it."
                    ) from None
                # RSL-RL 5.x finds it in what the environment gives; else torch does in what spoiled weights make of it.
                if re.search("contains? NaN", str(error)):
                    reason = self._blame_step(given, (done - 1) % steps) if given else ""
                elif not weights_are_finite(self.alg.optimizer):
                    reason = blame_rollout(self.alg.storage, given[0]) if given else ""  # else no step was made yet
                elif self._std_is_spent():
                    reason = STD_IS_SPENT
                else:
                    raise
                reason = reason or str(error).splitlines()[0][:300]
                raise NonFiniteError(f"{reason} Training stops; the last checkpoint is from before it.") from None
            if request.signal is not None:  # another one may still come while the first is followed
                self._end_early(request.signal, done >= steps)

    def _is_asked_to_stop(self, request: StopRequest) -> bool:
        """Return whether a signal has come, to whichever process: all leave before the same iteration."""
        if self.is_distributed:
            number = largest_across_ranks(request.signal or 0, self.device)
            if number:
                request.signal = signal.Signals(number)
            return number > 0  # one that came meanwhile is for the next iteration
        return request.signal is not None

    def _end_early(self, signal: signal.Signals, has_learned: bool) -> None:
        """Save what was learned, and say where."""
        if self.gpu_global_rank > 0:
            raise StoppedError(signal, f"{signal.name}: process {self.gpu_global_rank} stopped.")
        log_dir = generation.log_dir(self)
        if not has_learned or log_dir is None:
            raise StoppedError(signal, f"{signal.name}: stopped before the end of the first iteration.")
        path = Path(log_dir) / f"model_{self.current_learning_iteration}.pt"
        if not path.exists():
            self.save(str(path))
        raise StoppedError(signal, f"{signal.name}: stopped. Saved: {path}. Continue with --resume.")

    def take_rate(self, field: str, value: float) -> None:
        """Go on with another step size than that of the checkpoint that was loaded.

        Args:
            field: Which one: "learning_rate", or an algorithm's own.
            value: The step size.
        """
        if isinstance(self.alg, FlowPPO):
            self.alg.learner.take_rate(field, value)
        elif field == "learning_rate":
            self.alg.learning_rate = value
            for group in self.alg.optimizer.param_groups:
                set_rate(group, value)

    def _blame_step(self, given: Any, step: int) -> str:
        """Say what is wrong with a step's results, or with the observations that its actions were made from."""
        observations, rewards, dones, _ = given
        groups = self.alg.transition.observations
        seen = groups.select(*(name for name in observations.keys() if name in groups))  # noqa: SIM118
        return blame_step(seen, {}, step) or blame_step(observations, {"reward": rewards, "done": dones}, step)

    def _std_is_spent(self) -> bool:
        """Return whether a standard deviation has fallen to zero, where RSL-RL does not clamp it and fails to act."""
        std = generation.unclamped_std(self)
        return std is not None and bool((std <= 0.0).any())

    def save(self, path: str, infos: dict[str, Any] | None = None) -> None:
        """Write a checkpoint, in process 0 alone.

        Raises:
            NonFiniteError: If it would be refused when it is read.
        """
        if self.gpu_global_rank > 0:
            return
        checkpoint = {**generation.collect_state(self), "iter": self.current_learning_iteration, "infos": infos}
        name = not_finite(checkpoint)
        if name or self._std_is_spent():
            reason = f"Not finite: {name}." if name else STD_IS_SPENT
            raise NonFiniteError(f"{reason} No checkpoint is written; the last one is from before it.")
        if hasattr(self.env, "state_dict"):
            checkpoint["env_state_dict"] = self.env.state_dict()
        if (writer := generation.writer(self)) is not None:
            writer.flush()  # TensorBoard's waits for seconds: the logs would lack iterations that the checkpoint has
        write_checkpoint(checkpoint, path)
        generation.upload_model(self, path)

    def load(self, path: str, *, for_training: bool = True, map_location: str | None = None) -> Any:  # type: ignore[override]
        """Read a checkpoint.

        Args:
            path: The file.
            for_training: Whether to restore optimizers, counters, random and environment state too.
            map_location: Device to load tensors to.

        Returns:
            The ``infos`` that were saved.

        Raises:
            CheckpointError: If the file is damaged or belongs to another agent or other networks.
        """
        checkpoint = read_checkpoint(path, map_location)
        own = generation.collect_state(self)
        try:
            for section in WEIGHTS:
                check_types(checkpoint.get(section, {}), own.get(section, {}))
            generation.restore_state(self, checkpoint, for_training)
        except (KeyError, RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"'{path}' does not fit this agent: it was written by another one, or with other networks. ({error})"
            ) from None
        if self._std_is_spent():
            raise CheckpointError(f"'{path}': {STD_IS_SPENT}")
        if for_training:
            # The next one: RSL-RL would give it the number of the last one before, and the curves would not join.
            self.current_learning_iteration = checkpoint["iter"] + 1
            # It is the state of process 0's environments; those of the others must not do the same.
            if self.gpu_global_rank == 0 and hasattr(self.env, "load_state_dict") and "env_state_dict" in checkpoint:
                try:
                    self.env.load_state_dict(checkpoint["env_state_dict"])
                except ValueError as error:
                    raise CheckpointError(str(error)) from None
        return checkpoint["infos"]
