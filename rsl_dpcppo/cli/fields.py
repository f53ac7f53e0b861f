# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fields of a configuration with their values, and what their docstrings say of them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from typing import Any


def describe(cfg: Any, section: str) -> str:
    """Return every field of a configuration as an override, with its docstring below.

    Args:
        cfg: The configuration, a dataclass.
        section: What the overrides begin with.
    """
    documented = docstrings(type(cfg))
    parts = []
    for field in dataclasses.fields(cfg):
        value, name = getattr(cfg, field.name), f"{section}.{field.name}"
        if dataclasses.is_dataclass(value):
            parts.append(describe(value, name))
        else:
            text = " ".join(documented.get(field.name, "").split())
            parts.append(f"{name}={value}\n" + textwrap.indent(textwrap.fill(text, 116), "    "))
    return "\n".join(parts)


def docstrings(kind: type) -> dict[str, str]:
    """Return the docstring below each field of a class and its bases, which Python itself does not keep."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for statement, following in zip(definition.body, definition.body[1:], strict=False):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and is_text:
                found[statement.target.id] = str(following.value.value)  # type: ignore[attr-defined]
    return found
