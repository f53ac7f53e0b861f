# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of DPMD."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from rsl_dpcppo.config.checks import check_choice
from rsl_dpcppo.config.diffusion import DiffusionFields, DiffusionRunnerCfg
from rsl_dpcppo.errors import ConfigError

Q_NORMS = ("state", "batch", "published")


@dataclass
class DPMDFields(DiffusionFields):
    """The fields of DPMD."""

    q_norm: str = "state"
    """What the weights compare. "state": the candidates of each state with each other, exp(q_scale Q / alpha) of each.
    "batch": the chosen actions of the batch, exp(z / alpha) with z = (Q - mean) / deviation, which weighs states by
    their value rather than actions by theirs. "published": the same as the authors' code has it, with a slip of
    precedence, z = Q - mean / deviation, by which all weights are equal once Q is well above 3."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_choice("q_norm", self.q_norm, Q_NORMS)
        if self.q_norm == "state" and self.num_target_candidates < 2:
            raise ConfigError("num_target_candidates is 1; q_norm 'state' compares several: it must be 2 or more.")
        if self.q_norm != "state" and self.temperature == "dual":
            raise ConfigError(f"temperature is 'dual'; q_norm {self.q_norm!r} has the schedule: it must be 'schedule'.")


@dataclass
class DPMDRunnerCfg(DiffusionRunnerCfg):
    """DPMD through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "dpmd"
    # A policy that is fitted to a few of its own actions hardly leaves their range but by noise.
    few: ClassVar[dict[str, Any]] = {**DiffusionRunnerCfg.few, "kl_target": 1.0, "noise_scale": 0.2}
    many: ClassVar[dict[str, Any]] = {**DiffusionRunnerCfg.many, "kl_target": 1.0}

    algorithm: DPMDFields = field(default_factory=DPMDFields)  # type: ignore[assignment]
