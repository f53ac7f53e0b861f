# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Imports that wait: doing something right after one, and making one where it is first needed."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing's is the same for type checkers, and takes long to import where commands start
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


def when_imported(name: str, action: Callable[[ModuleType], None]) -> None:
    """Do something once a module is there: at once if it is, else right after its first import.

    Args:
        name: The module's full name.
        action: Takes the module.
    """
    if name in sys.modules:
        action(sys.modules[name])
    else:
        sys.meta_path.insert(0, _AfterImport(name, action))


def is_installed(module: str) -> bool:
    """Return whether a module is there, and not merely a folder of its name, such as the one that W&B logs to."""
    from importlib.util import find_spec

    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def deferred(module: str, name: str) -> Callable[..., Any]:
    """Return a function of a module that is imported when the function is called, not before.

    Args:
        module: The module's full name.
        name: Name of the function or class.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        from importlib import import_module

        return getattr(import_module(module), name)(*args, **kwargs)

    return call


class _AfterImport:
    """A finder of modules."""

    def __init__(self, name: str, action: Callable[[ModuleType], None]) -> None:
        self._name, self._action = name, action

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self._action(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
