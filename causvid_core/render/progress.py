"""How far a render is, on one line of a terminal or now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from ..stream.rollout import StepRecord

BAR_WIDTH = 24
LOG_SECONDS = 30.0  # between lines where the output is no terminal


class ProgressLine:
    """An `on_step` for `rollout`; tell `frames` how many px frames are made so far.

    blocks: of the run. steps: denoising steps of a block, so that the bar moves within one.
    """

    def __init__(
        self, out: TextIO, blocks: int, steps: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out, self._clock = out, clock
        self._terminal = out.isatty()
        self._blocks, self._steps = blocks, steps
        self._begun = self._told = clock()
        self._first: tuple[int, float] | None = None
        self._px_frames = 0
        self._first_block: int | None = None
        self._open = False

    def frames(self, px_frames: int) -> None:
        """So many px frames are made."""
        self._px_frames = px_frames
        self._first = self._first or (px_frames, self._clock())

    def __call__(self, record: StepRecord) -> None:
        """`record` is only read."""
        if self._first_block is None:
            self._first_block = record.block
        block, step = record.block - self._first_block, record.step + 1
        done = (block + min(step, self._steps) / (self._steps + 1)) / self._blocks
        now = self._clock()
        if self._terminal or now - self._told >= LOG_SECONDS:
            self._told = now
            self._write(self._line(block + 1, step, done, now))

    def finish(self) -> None:
        """Go on below the line."""
        if self._open:
            self._out.write("\n")
            self._out.flush()
        self._open = False

    def _line(self, block: int, step: int, done: float, now: float) -> str:
        bar = ("#" * int(BAR_WIDTH * done)).ljust(BAR_WIDTH, ".")
        parts = [f"[{bar}] {100 * done:3.0f} %", f"block {block}/{self._blocks}", f"step {step}"]
        if self._px_frames:
            parts.append(f"{self._px_frames} frames")
        if (rate := self._rate(now)) is not None:
            parts.append(f"{rate:.2f} fps")
        if done and block > 1:
            parts.append(f"{_duration((now - self._begun) * (1 - done) / done)} left")
        return ", ".join(parts)

    def _rate(self, now: float) -> float | None:
        """Px frames a second, without the first block, which waits for the device to warm up."""
        if self._first is None or self._px_frames == self._first[0]:
            return None
        return (self._px_frames - self._first[0]) / max(1e-6, now - self._first[1])

    def _write(self, line: str) -> None:
        # Spaces wipe what a longer line has left.
        self._out.write(f"\r{line:<79}" if self._terminal else f"{line}\n")
        self._out.flush()
        self._open = self._terminal


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
