# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Faster ways to run a function of tensors: torch.compile and CUDA graphs. Where they fail, the plain function."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from tensordict.nn import CudaGraphModule
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from rsl_dpcppo.learning.effects import Effects

PROOF_CALLS = 4
"""Calls of each shape that are compared. A graph is recorded in the second, so that two of them are its replays."""


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
    """A function that runs in a faster way, once that has shown that it does what the plain way does.

    Of each combination of shapes the first call is plain. Each of the next :data:`PROOF_CALLS` runs the faster way,
    puts the state back, and runs plain with the same random numbers. If the two differ, or if the faster way fails
    then or later, a warning says so and the function stays plain.
    """

    def __init__(
        self, function: Callable[..., Any], mode: str, state: Callable[[], Mapping[str, Sequence[Tensor]]] = dict
    ) -> None:
        """Wrap a function.

        Args:
            function: Takes tensors, or trees of them, by position, and returns such. Under "cudagraph" what it reads
                must stay where it is, and plain numbers are read once.
            mode: "none", "inductor" (torch.compile) or "cudagraph" (recorded once for each shape, then replayed).
            state: Returns, by name, the tensors that the function changes in place or that gradients are asked of.
        """
        self.function = function
        self.mode = mode
        self.state = state
        self.reset()

    def reset(self) -> None:
        """Forget what was recorded, because tensors that the function uses have been replaced."""
        fast = {"none": None, "inductor": _compile, "cudagraph": _GraphOfEachShape}[self.mode]
        self._fast: Callable[..., Any] | None = fast(self.function) if fast else None
        self._calls: Counter[Hashable] = Counter()

    def __call__(self, *args: Any) -> Any:
        """Run the function."""
        if self._fast is None or torch.compiler.is_compiling():  # within what the host compiles
            return self.function(*args)
        shapes = _shapes(args)
        self._calls[shapes] += 1
        if self._calls[shapes] == 1:  # an optimizer makes its state in it
            return self.function(*args)
        if self._calls[shapes] <= 1 + PROOF_CALLS:
            return self._prove(args)
        try:
            return self._fast(*args)
        except Exception as error:  # compilers and drivers raise what they like
            self._stay_plain(_first_line(error))
            return self.function(*args)

    def _prove(self, args: tuple[Any, ...]) -> Any:
        """Run the faster way and take it back, then the plain way; compare what the two did."""
        assert self._fast is not None
        effects = Effects(self.state())
        found, reason = None, ""
        with _same_random_numbers(args):
            try:
                found = effects.of(self._fast(*args))
            except Exception as error:  # compilers and drivers raise what they like
                reason = _first_line(error)
        effects.take_back()
        result = self.function(*args)
        if found is not None:
            reason = effects.difference(found, effects.of(result, keep_graph=True))
        if reason:
            self._stay_plain(reason)
        return result

    def _stay_plain(self, reason: str) -> None:
        """Warn, and give the faster way up."""
        self._fast = None
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        warnings.warn(
            f"compile = '{self.mode}' does not work here for {name}, and the plain path takes over. {reason}",
            RuntimeWarning,
            stacklevel=4,
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """Return a copy with nothing recorded yet."""
        return Compiled(copy.deepcopy(self.function, memo), self.mode, copy.deepcopy(self.state, memo))


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    # Inductor's own random numbers could not be compared, and a run would depend on the mode. On a CPU small products
    # cost less if C++ calls them; for a GPU that would need CUDA's headers.
    options: dict[str, Any] = {"fallback_random": True, "cpp_wrapper": not torch.cuda.is_available()}
    return torch.compile(function, options=options)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _shapes(args: tuple[Any, ...]) -> Hashable:
    """Return what a recording is good for."""
    # Tensors of inference mode cannot be written to outside it, and a graph copies its arguments into its own.
    return (torch.is_inference_mode_enabled(), *(x.shape for x in tree_leaves(args) if isinstance(x, Tensor)))


def _same_random_numbers(args: tuple[Any, ...]) -> AbstractContextManager[None]:
    """Return a context that leaves torch's random numbers as it found them."""
    devices = {leaf.device for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.is_cuda}
    return torch.random.fork_rng(devices=list(devices))


class _GraphOfEachShape:
    """A function recorded as one CUDA graph for each combination of its arguments' shapes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._graphs: dict[Hashable, CudaGraphModule] = {}

    def __call__(self, *args: Any) -> Any:
        key = _shapes(args)
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
