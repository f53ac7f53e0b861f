# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL's runner with safe checkpoint files, for the tasks that this package launches itself."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from rsl_rl.runners import OnPolicyRunner

from rsl_dpcppo.bridge.action_space import check_action_space
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.ppo import FlowPPO
from rsl_dpcppo.bridge.stopping import StopRequest
from rsl_dpcppo.checkpoint import WEIGHTS, check_types, read_checkpoint, write_checkpoint
from rsl_dpcppo.errors import CheckpointError, NonFiniteError, StoppedError
from rsl_dpcppo.learning.guard import guard_optimizer, weights_are_finite


class _BetweenIterationsError(Exception):
    """Leaves RSL-RL's loop before an iteration."""


class Runner(OnPolicyRunner):
    """RSL-RL's runner, unchanged but for checkpoints.

    They are written atomically, read without executing code, and hold the environment's state where it has one, so
    that a resumed run is the run that was not interrupted. Their content is RSL-RL's: each runner reads the other's.
    """

    def __init__(self, env: Any, train_cfg: dict[str, Any], log_dir: str | None = None, device: str = "cpu") -> None:
        """Build as RSL-RL does, after a look at the action space."""
        check_action_space(env)
        super().__init__(env, train_cfg, log_dir, device)
        if not isinstance(self.alg, FlowPPO):  # whose learner does so itself
            guard_optimizer(self.alg.optimizer)

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train as RSL-RL does; a signal that asks to end is followed after the present iteration, with a checkpoint.

        Raises:
            StoppedError: After such a signal.
            NonFiniteError: If the environment gives what is not a number.
        """
        act, steps, done = self.alg.act, self.cfg["num_steps_per_env"], 0

        def act_unless_asked_to_stop(obs: Any) -> Any:
            nonlocal done
            if request.signal is not None and done % steps == 0:
                raise _BetweenIterationsError
            done += 1
            return act(obs)

        with StopRequest() as request:
            self.alg.act = act_unless_asked_to_stop
            try:
                super().learn(num_learning_iterations, init_at_random_ep_len)
            except _BetweenIterationsError:
                pass
            except (ValueError, RuntimeError) as error:
                # RSL-RL 5.x finds it in what the environment gives; else torch does in what spoiled weights make of it.
                if "contain NaN" not in str(error) and weights_are_finite(self.alg.optimizer):
                    raise
                raise NonFiniteError(
                    f"{str(error).splitlines()[0]:.300} Training stops; the last checkpoint is from before it."
                ) from None
            finally:
                del self.alg.act  # the method is found again
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

    def save(self, path: str, infos: dict[str, Any] | None = None) -> None:
        """Write a checkpoint."""
        checkpoint = {**generation.collect_state(self), "iter": self.current_learning_iteration, "infos": infos}
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
        if for_training:
            # The next one: RSL-RL would give it the number of the last one before, and the curves would not join.
            self.current_learning_iteration = checkpoint["iter"] + 1
            if hasattr(self.env, "load_state_dict") and "env_state_dict" in checkpoint:
                try:
                    self.env.load_state_dict(checkpoint["env_state_dict"])
                except ValueError as error:
                    raise CheckpointError(str(error)) from None
        return checkpoint["infos"]
