"""How far a long run is: one line on a terminal, or a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

BAR_WIDTH = 24
LOG_SECONDS = 30.0


class ProgressLine:
    """A bar with a few facts behind it, redrawn in place where `out` is a terminal.

    log_seconds: time between lines where it is not; None writes nothing there. Without `out`
    nothing is written at all.
    """

    def __init__(
        self,
        out: TextIO | None,
        log_seconds: float | None = LOG_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._log_seconds, self._clock = out, log_seconds, clock
        self._terminal = out is not None and out.isatty()
        self._started = self._shown = clock()
        self._open = False

    def show(self, done: float, *facts: str, time_left: bool = True) -> None:
        """Draw the bar at the share `done` of the run, 0 to 1, with the facts behind it.

        time_left: whether the speed so far says anything about the time that is left.
        """
        now = self._clock()
        due = self._log_seconds is not None and now - self._shown >= self._log_seconds
        if not self._terminal and not due:
            return
        self._shown = now
        bar = ("#" * int(BAR_WIDTH * done)).ljust(BAR_WIDTH, ".")
        parts = [f"[{bar}] {100 * done:3.0f} %", *facts]
        if time_left and done:
            parts.append(f"{duration((now - self._started) * (1 - done) / done)} left")
        line = ", ".join(parts)
        # Padding wipes what a longer line has left.
        self._write(f"\r{line:<79}" if self._terminal else f"{line}\n")
        self._open = self._terminal

    def finish(self) -> None:
        """Move the cursor below the line."""
        if self._open:
            self._write("\n")
        self._open = False

    def _write(self, text: str) -> None:
        if self._out is not None:
            self._out.write(text)
            self._out.flush()


def duration(seconds: float) -> str:
    """1:05 or 1:01:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
