"""How far a render is: blocks and steps, px frames a second, time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from ..progress import ProgressLine
from ..stream.rollout import StepRecord


class RenderProgress:
    """An `on_step` for `rollout`; tell `frames` how many px frames are made so far.

    Without `out` it is silent."""

    def __init__(self, out: TextIO | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._line, self._clock = ProgressLine(out, clock=clock), clock
        self._px_frames = 0
        self._first: tuple[int, float] | None = None
        self._first_block: int | None = None
        self.finish = self._line.finish

    def frames(self, px_frames: int) -> None:
        """So many px frames are made."""
        self._px_frames = px_frames
        self._first = self._first or (px_frames, self._clock())

    def __call__(self, record: StepRecord) -> None:
        """`record` is only read."""
        if self._first_block is None:
            self._first_block = record.block
        block, step = record.block - self._first_block, record.step + 1
        # The clean pass costs as much as a step.
        done = (block + step / (record.steps + 1)) / record.blocks
        facts = [f"block {block + 1}/{record.blocks}", f"step {step}"]
        if self._px_frames:
            facts.append(f"{self._px_frames} frames")
        if (rate := self._rate()) is not None:
            facts.append(f"{rate:.2f} fps")
        self._line.show(done, *facts, time_left=block > 0)

    def _rate(self) -> float | None:
        """Px frames a second, without the first block, which waits for the device to warm up."""
        if self._first is None or self._px_frames == self._first[0]:
            return None
        return (self._px_frames - self._first[0]) / max(1e-6, self._clock() - self._first[1])
