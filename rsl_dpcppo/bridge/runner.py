# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""RSL-RL's runner with safe checkpoint files, for the tasks that this package launches itself."""

from __future__ import annotations

from typing import Any

from rsl_rl.runners import OnPolicyRunner

from rsl_dpcppo.bridge.action_space import check_action_space
from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.checkpoint import read_checkpoint, write_checkpoint
from rsl_dpcppo.errors import CheckpointError


class Runner(OnPolicyRunner):
    """RSL-RL's runner, unchanged but for checkpoints.

    They are written atomically, read without executing code, and hold the environment's state where it has one, so
    that a resumed run is the run that was not interrupted. Their content is RSL-RL's: each runner reads the other's.
    """

    def __init__(self, env: Any, train_cfg: dict[str, Any], log_dir: str | None = None, device: str = "cpu") -> None:
        """Build as RSL-RL does, after a look at the action space."""
        check_action_space(env)
        super().__init__(env, train_cfg, log_dir, device)

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
        try:
            generation.restore_state(self, checkpoint, for_training)
        except (KeyError, RuntimeError, ValueError) as error:
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
