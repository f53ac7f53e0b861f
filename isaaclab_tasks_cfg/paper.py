# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Hyperparameters of DP-CPPO and PPO on Isaac Lab's tasks: Tables 6 to 13 of arXiv 2603.04790.

What the tables have in common (lambda 0.95, clip 0.2, gradient norm 1.0, value loss 1.0 clipped, 5 epochs of 4
mini-batches, adaptive rate) is in the defaults of :class:`PaperSettings`; Table 5 (flow matching) is in those of
:class:`~rsl_dpcppo.config.DPCPPOFields` and :class:`~rsl_dpcppo.config.FlowFields`. The 4096 environments are the
hosts' own default.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperSettings:
    """One column of a table."""

    table: int
    """Number of the table in the paper."""
    entropy_coef: float
    """Entropy loss scale."""
    learning_rate: float
    """Learning rate that the adaptive schedule starts with."""
    num_steps_per_env: int
    """Rollouts."""
    hidden_dims: tuple[int, ...]
    """Hidden widths of flow, Gaussian policy and critic, which are the same in every table."""
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


@dataclass(frozen=True)
class PaperTask:
    """A task of the paper, under the names that Isaac Lab gives and gave it."""

    ids: tuple[str, str]
    """Its id in Isaac Lab 2.3 and in 3.0, without version and "-Play"."""
    dpcppo: PaperSettings
    """The table's DP-CPPO column."""
    ppo: PaperSettings
    """The table's PPO column."""


TASKS: tuple[PaperTask, ...] = (
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
"""The eight benchmark tasks of the paper's Table 3."""


def base_id(task_id: str) -> str:
    """Return a task's id without namespace, version and "-Play": "Isaac-Ant-v0" -> "Isaac-Ant"."""
    name = task_id.rpartition(":")[2]
    head, _, version = name.rpartition("-v")
    return (head if version.isdigit() else name).removesuffix("-Play")


def find_paper_task(task_id: str) -> PaperTask | None:
    """Return the paper's task behind an id of either Isaac Lab generation, or None."""
    name = base_id(task_id)
    return next((task for task in TASKS if name in task.ids), None)
