"""How much a video moves, by optical flow, and how strongly it may be replaced there.

StreamDiffusionV2 adds less noise where the input moves fast: only the input holds a moving thing on
its path, and replacing more of it leaves ghosts. Where the picture is still, more noise gives the
prompt more room. Motion is measured with Farneback's optical flow instead of differences of frames,
so that a change of light does not count.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from .pixels import Array, as_pixels

LONGEST_SIDE_PX = 64  # frames are shrunk to this: flow finds long paths better in small ones
FASTEST = 0.02
"""Mean flow per px frame, in sides of the picture, that counts as full motion: at 16 px frames per
second the picture passes by in three seconds."""
SOFTENING = 0.1  # share of the previous strength, as in StreamDiffusionV2


class MotionMeter:
    """Measures the motion of a video that comes in pieces; keeps one small frame."""

    def __init__(self) -> None:
        self._last: Array | None = None

    def push(self, frames: Tensor) -> float:
        """Mean flow per px frame of `[T, H, W, 3]` in 0..1, in sides of the picture.

        The step from the previous piece counts; a single first frame has no motion.
        """
        flows = []
        for frame in frames:
            small = _small_grey(frame)
            if self._last is not None:
                flows.append(_mean_flow(self._last, small))
            self._last = small
        return float(np.mean(flows)) if flows else 0.0


class MotionStrength:
    """A `strength(block_index)` that falls where the input moves.

    follow: at 0 `strength` stays as it is, at 1 full motion halves it. `push` the frames of every
    block before its strength is asked for. used: the strengths that were asked for.
    """

    def __init__(self, strength: float, follow: float) -> None:
        if not 0 <= follow <= 1:
            raise ValueError(f"follow_motion is {follow}; expected a value from 0 to 1")
        self._strength, self._follow = strength, follow
        self._meter = MotionMeter()
        self._current: float | None = None
        self.used: list[float] = []

    def push(self, frames: Tensor) -> None:
        """The px frames `[T, H, W, 3]` of the next block."""
        if not self._follow:
            return
        motion = min(1.0, self._meter.push(frames) / FASTEST)
        wanted = self._strength * (1 - self._follow * motion / 2)
        before = wanted if self._current is None else self._current
        self._current = (1 - SOFTENING) * wanted + SOFTENING * before

    def __call__(self, block: int) -> float:
        """The strength of the block whose frames came last."""
        value = self._strength if self._current is None else self._current
        self.used.append(value)
        return value


def _mean_flow(before: Array, after: Array) -> float:
    import cv2

    flow = np.zeros((*before.shape, 2), np.float32)
    flow = cv2.calcOpticalFlowFarneback(before, after, flow, 0.5, 4, 21, 3, 7, 1.5, 0)
    return float(np.hypot(flow[..., 0], flow[..., 1]).mean()) / math.sqrt(before.size)


def _small_grey(frame: Tensor) -> Array:
    import cv2

    grey = cv2.cvtColor(as_pixels(frame), cv2.COLOR_RGB2GRAY)
    scale = LONGEST_SIDE_PX / max(grey.shape)
    if scale >= 1:
        return grey
    size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
