# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The random numbers of a run, continued where it is resumed."""

from __future__ import annotations

import torch
from torch import Tensor

from rsl_dpcppo.errors import CheckpointError


class RandomState:
    """torch's random numbers on the host and on a device."""

    def __init__(self, device: torch.device) -> None:
        """Take the device that the run samples on."""
        self._device = device
        self._loaded: dict[str, Tensor] | None = None

    def state_dict(self) -> dict[str, Tensor]:
        """Return the present state."""
        state = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self._device)
        return state

    def load_state_dict(self, state: dict[str, Tensor] | None) -> None:
        """Keep a state until :meth:`resume`; None for no state.

        Raises:
            CheckpointError: If it is no state of torch's generators.
        """
        for name, now in self.state_dict().items():
            loaded = now if state is None else state.get(name, now)
            if not isinstance(loaded, Tensor) or (loaded.shape, loaded.dtype, loaded.layout) != (
                now.shape,
                now.dtype,
                now.layout,
            ):
                raise CheckpointError(f"The checkpoint's random state '{name}' is no state of torch's generators.")
        self._loaded = state

    def resume(self) -> None:
        """Take up the loaded state, once: at the first action rather than when it is loaded.

        So playing a policy keeps its own seed, and what hosts draw between the two does not matter.
        """
        if self._loaded is None:
            return
        torch.set_rng_state(self._loaded["cpu"].cpu())
        if self._device.type == "cuda" and "cuda" in self._loaded:
            torch.cuda.set_rng_state(self._loaded["cuda"].cpu(), self._device)
        self._loaded = None
