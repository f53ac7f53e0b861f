# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a call of a function does: its result, its gradients, the state that it changes. So two ways can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import keystr, tree_flatten_with_path

TOLERANCE = 0.05
"""Largest relative difference between two ways to compute the same. Rounding, of bfloat16 too, makes some hundredths;
an input of an earlier call, a lost step or other random numbers make a tenth and more."""


class Effects:
    """Effects of calls that start from the same state."""

    def __init__(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Remember the present state.

        Args:
            state: The tensors that calls change in place, or that their results' gradients are of, by name.
        """
        self._state = {name: list(part) for name, part in state.items()}
        self._before = {name: [x.detach().clone() for x in part] for name, part in self._state.items()}

    def of(self, result: Any, keep_graph: bool = False) -> dict[str, list[Tensor]]:
        """Return what a call did.

        Args:
            result: What it returned: a tree of tensors.
            keep_graph: Whether the result's gradients are needed again.

        Returns:
            By name: each tensor of the result, the gradients of their sum, and the change of each part of the state.
        """
        leaves = {f"its result{keystr(path)}": leaf for path, leaf in tree_flatten_with_path(result)[0]}
        results = {name: leaf for name, leaf in leaves.items() if isinstance(leaf, Tensor)}
        outputs = [leaf.sum() for leaf in results.values() if leaf.requires_grad]
        sources = [x for part in self._state.values() for x in part if x.requires_grad]
        gradients = (
            torch.autograd.grad(outputs, sources, retain_graph=keep_graph, allow_unused=True, materialize_grads=True)
            if outputs and sources
            else ()
        )
        return {
            **{name: [leaf.detach().clone()] for name, leaf in results.items()},
            "the gradients": list(gradients),
            **{name: [x.detach().double() - y for x, y in self._pairs(name)] for name in self._state},
        }

    @torch.no_grad()
    def take_back(self) -> None:
        """Give the state the values that it had at first."""
        for name in self._state:
            for now, before in self._pairs(name):
                now.copy_(before)

    def difference(self, effects: dict[str, list[Tensor]], expected: dict[str, list[Tensor]]) -> str:
        """Say in what a call's effects differ from those expected by more than :data:`TOLERANCE`; "" for nothing."""
        wrong = []
        for name, part in expected.items():
            # A loss may be zero but for rounding, and a weight that hardly moves is rounded more than its change is.
            floor = 1e-6 * _norm(self._before[name]) if name in self._before else 1e-4
            distance = _norm([x.double() - y for x, y in zip(effects[name], part, strict=True)])
            relative = distance / max(_norm(part), floor, torch.finfo(torch.float32).tiny)
            if not relative <= TOLERANCE:
                wrong.append(f"{name} by {relative:.2g} times its size")
        return f"It differs from the plain path: {', '.join(wrong)}." if wrong else ""

    def _pairs(self, name: str) -> zip[tuple[Tensor, Tensor]]:
        """Return a part's tensors, each with its first value."""
        return zip(self._state[name], self._before[name], strict=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, list[Tensor]]:
    """Return the tensors of an optimizer's state, such as Adam's moments, by their names."""
    tensors: defaultdict[str, list[Tensor]] = defaultdict(list)
    for state in optimizer.state.values():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"the optimizer's {name}"].append(value)
    return dict(tensors)


def _norm(tensors: Sequence[Tensor]) -> float:
    """Return the Euclidean norm of all numbers together; infinity if one is not finite."""
    norms = [torch.linalg.vector_norm(x.detach().double()) for x in tensors]
    return float(torch.stack(norms).norm().nan_to_num(nan=float("inf"))) if norms else 0.0
