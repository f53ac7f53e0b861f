# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the page of the fields says beside their docstrings. Not part of the package, and not of the site."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import griffe


class Defaults(griffe.Extension):
    """Writes each field's default as a value, and lets a field that changes a default keep the docstring it has.

    The sources name some defaults (``TABLE_5.flow_steps``) and make others (``field(default_factory=...)``).
    """

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Go through the dataclasses of all modules that hold fields."""
        for module in _modules(pkg):
            if module.name == "config" or ".config." in module.path:
                runtime = importlib.import_module(module.path)
                for name, cls in module.classes.items():
                    kind = getattr(runtime, name)
                    if not cls.is_alias and dataclasses.is_dataclass(kind):
                        _write_defaults(pkg, cls, kind)


def _modules(module: griffe.Module) -> list[griffe.Module]:
    inner = [each for each in module.modules.values() if not each.is_alias]
    return [module, *(x for each in inner for x in _modules(each))]


def _write_defaults(pkg: griffe.Module, cls: griffe.Class, kind: type) -> None:
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        attribute = cls.members.get(field.name)
        if attribute is None:  # inherited as it is
            continue
        made = field.default_factory is not dataclasses.MISSING
        default = field.default_factory() if made else field.default
        attribute.value = f"{type(default).__name__}()" if dataclasses.is_dataclass(default) else _text(default)
        for base in kind.__mro__[1:]:
            if attribute.docstring is None and base.__module__.startswith(f"{pkg.path}."):
                first = pkg[f"{base.__module__.removeprefix(f'{pkg.path}.')}.{base.__name__}"].members.get(field.name)
                attribute.docstring = first.docstring if first else None


def _text(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
