"""Ctrl-C that lets a long run finish what it is doing, and ends it at once when pressed again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """The run was asked to stop."""


class SoftInterrupt:
    """A context in which the first SIGINT or SIGTERM only sets `asked` and calls `notice`.

    By default a second signal ends the process there and then, whatever it is computing. With
    `grace_s`, signals within so many seconds of the first count as one, because `torchrun` passes
    on what its processes have already received from the terminal; a later SIGINT then raises
    KeyboardInterrupt. Only the main thread may enter it. The handlers that it found are restored
    on the way out.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, notice: Callable[[], object], grace_s: float = 0.0) -> None:
        self.asked = False
        self._notice, self._grace_s = notice, grace_s
        self._asked_at = 0.0
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> SoftInterrupt:
        for number in self.SIGNALS:
            self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises `Interrupted` once a signal has come."""
        if self.asked:
            raise Interrupted

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked:
            if number == signal.SIGINT and now - self._asked_at > self._grace_s:
                raise KeyboardInterrupt
            return
        self.asked, self._asked_at = True, now
        if not self._grace_s:
            for each in self.SIGNALS:
                signal.signal(each, signal.SIG_DFL)
        self._notice()
