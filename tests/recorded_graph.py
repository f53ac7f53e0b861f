# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a CUDA graph does, on the CPU: operators recorded once, and replayed on the tensors that they had then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten


class RecordedGraph(TorchDispatchMode):
    """Stands in for tensordict's CudaGraphModule.

    The first call runs, the second is recorded, later ones replay: no line of Python runs again, each operator reads
    and writes the tensors of the recording, and what Python has replaced since is not seen. An operator that waits for
    the device is refused, as it is while a CUDA graph is captured.
    """

    num_replays = 0
    """Replays of all graphs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.operators: list[tuple[Any, Any, Any, Any]] = []
        self.calls = 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            return self.function(*args)
        if self.calls == 2:
            leaves, tree = tree_flatten(args)
            # The casts of autocast do not show in inference mode.
            with torch.inference_mode(False):
                self.inputs = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
                with self:
                    self.outputs = self.function(*tree_unflatten(self.inputs, tree))
            return tree_map(torch.clone, self.outputs)
        for static, given in zip(self.inputs, tree_leaves(args), strict=True):
            if isinstance(static, Tensor):
                static.copy_(given)
        with torch.no_grad(), torch.autocast("cpu", enabled=False):  # the casts are in the recording
            for operator, inputs, options, recorded in self.operators:
                for old, new in zip(tree_leaves(recorded), tree_leaves(operator(*inputs, **options)), strict=True):
                    if isinstance(old, Tensor) and old is not new:
                        old.copy_(new)
        RecordedGraph.num_replays += 1
        return tree_map(torch.clone, self.outputs)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal"):
            raise RuntimeError(f"{func._schema.name} waits for the device, which a recording cannot")
        result = func(*args, **(kwargs or {}))
        is_view = any(value.alias_info and not value.alias_info.is_write for value in func._schema.returns)
        if not is_view:  # a view shows what its base holds, at every replay
            self.operators.append((func, args, kwargs or {}, result))
        return result
