# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL's runner with safe checkpoint files, for the tasks that this package launches itself."""

from __future__ import annotations

import contextlib
import math
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rsl_rl.runners import OnPolicyRunner
from torch import Tensor

from rsl_dpcppo.bridge.action_space import check_action_space
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.off_policy import OffPolicy
from rsl_dpcppo.bridge.ppo import FlowPPO
from rsl_dpcppo.bridge.stopping import StopRequest
from rsl_dpcppo.checkpoint import WEIGHTS, check_types, not_finite, read_checkpoint, write_checkpoint
from rsl_dpcppo.errors import CheckpointError, EnvError, NonFiniteError, StoppedError
from rsl_dpcppo.learning.environment import blame_dones, blame_rollout, blame_step, check_environment, check_step
from rsl_dpcppo.learning.guard import guard_optimizer, weights_are_finite


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
    """RSL-RL's runner, unchanged but for checkpoints.

    They are written atomically, read without executing code, and hold the environment's state where it has one, so
    that a resumed run is the run that was not interrupted. Their content is RSL-RL's: each runner reads the other's.
    """

    def __init__(self, env: Any, train_cfg: dict[str, Any], log_dir: str | None = None, device: str = "cpu") -> None:
        """Build as RSL-RL does, after a look at the environment.

        Raises:
            ConfigError: If its actions are not continuous.
            EnvError: If it gives what RSL-RL cannot take.
        """
        check_action_space(env)
        groups = train_cfg.get("obs_groups") or {}
        check_environment(env, {"policy", *(name for names in groups.values() for name in names)})
        super().__init__(env, train_cfg, log_dir, device)
        if not isinstance(self.alg, OURS):
            guard_optimizer(self.alg.optimizer)

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train as RSL-RL does; a signal that asks to end is followed after the present iteration, with a checkpoint.

        Raises:
            StoppedError: After such a signal.
            EnvError: If the environment gives what RSL-RL cannot take.
            NonFiniteError: If the environment gives what is not a number, or weights are none.
        """
        act, step, update = self.alg.act, self.env.step, self.alg.update
        stored_name = self.alg.model.flow_policy.stored_name if isinstance(self.alg, FlowPPO) else ""
        steps, done = self.cfg["num_steps_per_env"], 0
        given: Any = None

        def act_unless_asked_to_stop(obs: Any) -> Any:
            nonlocal done
            if request.signal is not None and done % steps == 0:
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
            if reason := blame_dones(self.alg.storage):
                raise EnvError(reason)
            losses = update()
            if not all(map(math.isfinite, losses.values())):
                reason = blame_rollout(self.alg.storage, given[0]) or f"Not finite in this update: {losses}."
                raise NonFiniteError(f"{reason} Training stops; the last checkpoint is from before it.")
            return losses

        with (
            StopRequest() as request,
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
        if request.signal is not None:
            self._end_early(request.signal, done >= steps)

    def _end_early(self, signal: signal.Signals, has_learned: bool) -> None:
        """Save what was learned, and say where."""
        log_dir = generation.log_dir(self)
        if not has_learned or log_dir is None:
            raise StoppedError(signal, f"{signal.name}: stopped before the end of the first iteration.")
        path = Path(log_dir) / f"model_{self.current_learning_iteration}.pt"
        if not path.exists():
            self.save(str(path))
        raise StoppedError(signal, f"{signal.name}: stopped. Saved: {path}. Continue with --resume.")

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
        """Write a checkpoint.

        Raises:
            NonFiniteError: If it would be refused when it is read.
        """
        checkpoint = {**generation.collect_state(self), "iter": self.current_learning_iteration, "infos": infos}
        name = not_finite(checkpoint)
        if name or self._std_is_spent():
            reason = f"Not finite: {name}." if name else STD_IS_SPENT
            raise NonFiniteError(f"{reason} No checkpoint is written; the last one is from before it.")
        if hasattr(self.env, "state_dict"):
            checkpoint["env_state_dict"] = self.env.state_dict()
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
            if hasattr(self.env, "load_state_dict") and "env_state_dict" in checkpoint:
                try:
                    self.env.load_state_dict(checkpoint["env_state_dict"])
                except ValueError as error:
                    raise CheckpointError(str(error)) from None
        return checkpoint["infos"]
