"""Ctrl-C that stops a render soundly, and at once when it is pressed again."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType


class Stopped(Exception):
    """The render was asked to stop; the stream is complete up to its last block."""


class SoundStop:
    """While in the `with`, Ctrl-C and termination make `check` raise `Stopped`.

    A second signal ends the process at once; the file still plays, since it always does.
    Only the main thread may enter it.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> SoundStop:
        for number in self.SIGNALS:
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises `Stopped` once a signal has come."""
        if self._asked:
            raise Stopped

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        for each in self.SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        print("\nstopping after this step; once more stops at once", file=sys.stderr, flush=True)
