# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Signals that ask a training to end: it ends its iteration first."""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What a user, a scheduler and a closed terminal send. Windows has no SIGHUP."""


class StopRequest(contextlib.AbstractContextManager["StopRequest"]):
    """Takes the first signal down, and lets a second one do what it always did.

    Only the main thread may handle signals; in another one this does nothing.
    """

    signal: signal.Signals | None = None
    """The signal that came."""

    def __enter__(self) -> StopRequest:
        """Begin to listen."""
        self._before: dict[Any, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._take_down) for each in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before = {}

    def _take_down(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self.__exit__()
        print(
            f"\n[INFO] {self.signal.name}: this iteration ends, then it is saved. Once more ends it at once.",
            flush=True,
        )
