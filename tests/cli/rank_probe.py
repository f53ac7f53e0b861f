# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""scripts/train.py, where each process leaves its weights in rank<N>.pt, and one fails if FAILS names it."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

import torch

from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.runner import Runner

RANK = os.environ["RANK"]
learn = Runner.learn


def observed_learn(self: Runner, *args: Any, **kwargs: Any) -> None:
    update, updates = self.alg.update, 0

    def observed_update() -> dict[str, float]:
        nonlocal updates
        updates += 1
        if os.environ.get("FAILS") == RANK and updates == 2:
            raise RuntimeError("the simulator is gone")
        losses = update()
        state = generation.collect_state(self)
        weights = {name: x for name, x in state.items() if name.endswith("_state_dict") and "optimizer" not in name}
        torch.save({"weights": weights, "seed": torch.initial_seed()}, f"rank{RANK}.pt")
        return losses

    self.alg.update = observed_update
    learn(self, *args, **kwargs)


Runner.learn = observed_learn
runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "train.py"), run_name="__main__")
