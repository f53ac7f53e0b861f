# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The hyperparameters of arXiv 2603.04790 in one shape: Tables 5 to 14.

What Tables 6 to 14 have in common (lambda 0.95, clip 0.2, gradient norm 1.0, value loss 1.0 clipped, 5 epochs of 4
mini-batches, adaptive rate, 4096 environments) are the defaults of :class:`PaperSettings`; the rows of
:data:`ISAAC_TASKS` and :data:`CONTROL_SUITE_TASKS` say what differs. Table 5 holds for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class FlowMatching:
    """Table 5."""

    flow_steps: int = 16
    """Flow steps."""
    learning_rate: float = 1e-3
    """Learning rate."""
    num_epochs: int = 15
    """Epochs."""
    num_mini_batches: int = 4
    """Mini batches."""
    ema_decay: float = 0.999
    """EMA rate."""


TABLE_5 = FlowMatching()
"""The defaults of DP-CPPO's flow."""


@dataclass(frozen=True)
class PaperSettings:
    """One column of a table."""

    table: int
    """Number of the table in the paper."""
    entropy_coef: float
    """Entropy loss scale."""
    learning_rate: float
    """Learning rate, which the adaptive schedule starts with."""
    num_steps_per_env: int
    """Rollouts."""
    hidden_dims: tuple[int, ...]
    """Hidden widths of Gaussian policy and critic, and of the flow but in Table 14."""
    flow_hidden_dims: tuple[int, ...] = ()
    """Hidden widths of the flow where they are others."""
    activation: str = "elu"
    """Activation. Table 11 omits it: elu, as in the host's own configuration."""
    desired_kl: float = 0.01
    """KL divergence that the adaptive schedule aims at."""
    score_coef: float = 0.1
    """Score regularization loss scale. PPO has none."""
    lam: float = 0.95
    """GAE smoothing."""
    clip_param: float = 0.2
    """Ratio clip."""
    max_grad_norm: float = 1.0
    """Max gradient clip."""
    value_loss_coef: float = 1.0
    """Value loss scale."""
    use_clipped_value_loss: bool = True
    """Value clip."""
    num_learning_epochs: int = 5
    """Num learning epochs."""
    num_mini_batches: int = 4
    """Num mini batches."""
    schedule: str = "adaptive"
    """LR schedule."""
    num_envs: int = 4096
    """Environments; the hosts' own default in Tables 6 to 13."""

    def networks(self) -> dict[str, Any]:
        """Return the fields of the Gaussian policy's network and the critic's."""
        return {"hidden_dims": list(self.hidden_dims), "activation": self.activation}

    def flow_network(self) -> dict[str, Any]:
        """Return the fields of the flow's network."""
        widths = self.flow_hidden_dims or self.hidden_dims
        return {"flow_hidden_dims": list(widths), "flow_activation": self.activation}

    def apply_to_algorithm(self, algorithm: Any, score: bool = True) -> None:
        """Write the column into a configuration of an algorithm, ours or a host's: into the fields that it has.

        Args:
            algorithm: The configuration, which is changed.
            score: Whether the weight of the score regulariser is written too, where there is one.
        """
        for field in fields(self):
            if hasattr(algorithm, field.name) and (score or field.name != "score_coef"):
                setattr(algorithm, field.name, getattr(self, field.name))


@dataclass(frozen=True)
class PaperTask:
    """A task of the paper, under the names that its hosts give and gave it."""

    ids: tuple[str, ...]
    """Its id in Isaac Lab 2.3 and in 3.0, without version and "-Play", or its name in Playground."""
    dpcppo: PaperSettings
    """The table's DP-CPPO column."""
    ppo: PaperSettings | None = None
    """The table's PPO column; Table 14 has none."""


_CONTROL_SUITE: dict[str, Any] = {"hidden_dims": (512, 256, 128), "flow_hidden_dims": (128, 64, 32)}
"""The networks of Table 14."""

CONTROL_SUITE = PaperSettings(14, 0.001, 1e-3, 32, **_CONTROL_SUITE)
"""What the tasks of Table 14 have in common."""

ISAAC_TASKS: tuple[PaperTask, ...] = (
    PaperTask(
        ("Isaac-Ant", "Isaac-Ant"),
        PaperSettings(6, 0.005, 5e-4, 32, (400, 200, 100)),
        PaperSettings(6, 0.01, 5e-4, 32, (400, 200, 100)),
    ),
    PaperTask(
        ("Isaac-Lift-Cube-Franka", "IsaacContrib-Lift-Cube-Franka"),
        PaperSettings(7, 0.004, 1e-4, 24, (256, 128, 64), desired_kl=0.008),
        PaperSettings(7, 0.006, 1e-4, 24, (256, 128, 64)),
    ),
    PaperTask(
        ("Isaac-Quadcopter-Direct", "Isaac-Quadcopter-Direct"),
        PaperSettings(8, 0.01, 5e-4, 24, (64, 64), activation="mish", score_coef=0.5),
        PaperSettings(8, 0.01, 5e-4, 24, (64, 64)),
    ),
    PaperTask(
        ("Isaac-Velocity-Flat-Anymal-D", "Isaac-Velocity-Flat-AnymalD"),
        PaperSettings(9, 0.001, 1e-3, 24, (128, 128, 128)),
        PaperSettings(9, 0.005, 1e-3, 24, (128, 128, 128)),
    ),
    PaperTask(
        ("Isaac-Velocity-Rough-H1", "Isaac-Velocity-Rough-H1"),
        PaperSettings(10, 0.005, 5e-4, 24, (512, 256, 128)),
        PaperSettings(10, 0.01, 1e-3, 24, (512, 256, 128)),
    ),
    PaperTask(
        ("Isaac-Velocity-Rough-Unitree-Go2", "Isaac-Velocity-Rough-UnitreeGo2"),
        PaperSettings(11, 0.005, 1e-3, 24, (512, 256, 128)),
        PaperSettings(11, 0.01, 1e-3, 24, (512, 256, 128)),
    ),
    PaperTask(
        ("Isaac-Navigation-Flat-Anymal-C", "IsaacContrib-Navigation-Flat-AnymalC"),
        PaperSettings(12, 0.001, 1e-3, 8, (128, 128), activation="mish"),
        PaperSettings(12, 0.005, 1e-3, 8, (128, 128)),
    ),
    PaperTask(
        ("Isaac-Velocity-Rough-G1", "Isaac-Velocity-Rough-G1"),
        PaperSettings(13, 0.001, 1e-3, 24, (512, 256, 128)),
        PaperSettings(13, 0.008, 1e-3, 24, (512, 256, 128)),
    ),
)
"""The tasks of the paper's Table 3."""

CONTROL_SUITE_TASKS: tuple[PaperTask, ...] = (
    PaperTask(
        ("BallInCup",),
        PaperSettings(14, 0.001, 1e-4, 32, **_CONTROL_SUITE, clip_param=0.05, use_clipped_value_loss=False),
    ),
    PaperTask(
        ("CheetahRun",),
        PaperSettings(14, 0.001, 1e-3, 32, **_CONTROL_SUITE, use_clipped_value_loss=False, num_learning_epochs=10),
    ),
    PaperTask(("FingerSpin",), PaperSettings(14, 0.005, 1e-3, 32, **_CONTROL_SUITE, num_learning_epochs=10)),
    PaperTask(("PointMass",), PaperSettings(14, 0.001, 5e-4, 32, **_CONTROL_SUITE, schedule="fixed")),
    PaperTask(("ReacherEasy",), PaperSettings(14, 0.005, 1e-3, 32, **_CONTROL_SUITE)),
    PaperTask(("ReacherHard",), PaperSettings(14, 0.005, 1e-3, 32, **_CONTROL_SUITE)),
    PaperTask(("WalkerRun",), CONTROL_SUITE),
    PaperTask(("WalkerWalk",), CONTROL_SUITE),
)
"""The tasks of the paper's Table 4."""


def base_id(task_id: str) -> str:
    """Return a task's id without namespace, version and "-Play": "Isaac-Ant-v0" -> "Isaac-Ant"."""
    name = task_id.rpartition(":")[2]
    head, _, version = name.rpartition("-v")
    return (head if version.isdigit() else name).removesuffix("-Play")


def find_paper_task(task_id: str) -> PaperTask | None:
    """Return the paper's task behind an id of either Isaac Lab generation or a name of Playground's, or None."""
    name = base_id(task_id)
    return next((task for task in (*ISAAC_TASKS, *CONTROL_SUITE_TASKS) if name in task.ids), None)
