# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Faster ways to run a function of tensors: torch.compile and CUDA graphs. Where they fail, the plain function."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from tensordict.nn import CudaGraphModule
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def resolve_mode(mode: str, device: torch.device) -> str:
    """Return "none", "inductor" or "cudagraph" for a mode on a device.

    Args:
        mode: One of these, or "auto": CUDA graphs on a GPU, nothing elsewhere.
        device: Where the tensors are.
    """
    if mode == "cudagraph" and device.type != "cuda":
        warnings.warn(f"compile = 'cudagraph' needs a GPU; on {device} the plain path runs.", stacklevel=2)
        return "none"
    if mode == "auto":
        return "cudagraph" if device.type == "cuda" else "none"
    return mode


class Compiled:
    """A function that runs in a faster way until that fails: then it warns, and stays plain."""

    def __init__(self, function: Callable[..., Any], mode: str) -> None:
        """Wrap a function.

        Args:
            function: Takes tensors, or trees of them, by position, and returns such. Under "cudagraph" it may change
                other tensors in place, and what it reads of them must stay where it is; plain numbers are read once.
            mode: "none", "inductor" (torch.compile) or "cudagraph" (recorded once for each shape, then replayed).
        """
        self.function = function
        self.mode = mode
        self.reset()

    def reset(self) -> None:
        """Forget what was recorded, because tensors that the function uses have been replaced."""
        fast = {"none": None, "inductor": torch.compile, "cudagraph": _GraphOfEachShape}[self.mode]
        self._fast: Callable[..., Any] | None = fast(self.function) if fast else None

    def __call__(self, *args: Any) -> Any:
        """Run the function."""
        if self._fast is None or torch.compiler.is_compiling():  # within what the host compiles
            return self.function(*args)
        try:
            return self._fast(*args)
        except Exception as error:  # compilers and drivers raise what they like
            self._fast = None
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            warnings.warn(
                f"compile = '{self.mode}' does not work here, and the plain path takes over. {reason}",
                RuntimeWarning,
                stacklevel=2,
            )
            return self.function(*args)

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """Return a copy with nothing recorded yet."""
        return Compiled(copy.deepcopy(self.function, memo), self.mode)


class _GraphOfEachShape:
    """A function recorded as one CUDA graph for each combination of its arguments' shapes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._graphs: dict[Any, CudaGraphModule] = {}

    def __call__(self, *args: Any) -> Any:
        # Tensors of inference mode cannot be written to outside it, and a graph copies its arguments into its own.
        key = (torch.is_inference_mode_enabled(), *(x.shape for x in tree_leaves(args) if isinstance(x, Tensor)))
        if key not in self._graphs:
            self._graphs[key] = CudaGraphModule(self._function)
        return self._graphs[key](*args)


class PinnedBuffers:
    """Keeps buffers where recorded graphs read them, although RSL-RL's normalisers put new ones in their place."""

    def __init__(self, *modules: nn.Module) -> None:
        """Remember where the modules' buffers are."""
        self._buffers = [
            (module, name, buffer)
            for root in modules
            for module in root.modules()
            for name, buffer in module.named_buffers(recurse=False)
        ]

    @torch.no_grad()
    def restore(self) -> None:
        """Copy the present values to where the buffers were, and put those back."""
        for module, name, buffer in self._buffers:
            present = getattr(module, name)
            if present is not buffer:
                setattr(module, name, buffer.copy_(present))
