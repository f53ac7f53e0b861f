# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of SDAC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from rsl_dpcppo.config.checks import check_choice, check_int
from rsl_dpcppo.config.diffusion import DiffusionFields, DiffusionRunnerCfg


@dataclass
class SDACFields(DiffusionFields):
    """The fields of SDAC."""

    num_reverse: int = 64
    """Actions that are drawn around each noised one, for the critics to weigh. They cost the critics alone."""

    reverse: str = "truncated"
    """Where they are drawn. "truncated": from the reverse Gaussian within the box. "clip": from all of it, clipped to
    the box for the critics, as published: at high noise nearly all are corners of the box then."""

    anchor: str = "policy"
    """Which actions are noised: the "policy"'s, as published, which takes a chain each; or those of the "replay"
    buffer, which take none. The minimum is the same."""

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_int("num_reverse", self.num_reverse, minimum=2)
        check_choice("reverse", self.reverse, ("truncated", "clip"))
        check_choice("anchor", self.anchor, ("policy", "replay"))

    @property
    def num_weighted(self) -> int:
        """Number of actions of a state that are weighed against each other."""
        return self.num_reverse


@dataclass
class SDACRunnerCfg(DiffusionRunnerCfg):
    """SDAC through RSL-RL's unmodified runner."""

    name: ClassVar[str] = "sdac"
    few: ClassVar[dict[str, Any]] = {
        **DiffusionRunnerCfg.few,
        "anchor": "replay",
        "num_target_candidates": 1,
        "num_reverse": 32,
    }
    many: ClassVar[dict[str, Any]] = {**DiffusionRunnerCfg.many, "anchor": "replay", "num_target_candidates": 1}

    algorithm: SDACFields = field(default_factory=SDACFields)  # type: ignore[assignment]
