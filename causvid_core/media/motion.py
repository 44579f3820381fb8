"""How much a video moves, by optical flow, and how strongly it may be replaced then.

StreamDiffusionV2 takes less noise where the input moves fast: what moves is held in place by the
input alone, and replacing more of it tears it off its path and leaves ghosts; where the picture
is still, more noise gives the prompt more room. We measure motion with Farneback's flow instead
of differences of frames, so that a change of light is no motion.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

LONGEST_SIDE_PX = 64  # frames are shrunk to it: flow finds long ways more surely in small ones
FASTEST = 0.02
"""Mean flow a px frame, in sides of the picture, that counts as full motion: at 16 px frames a
second the picture passes by in three seconds."""
SOFTENING = 0.1  # share of the strength before, as StreamDiffusionV2 has it


class MotionMeter:
    """Measures the motion of a video that comes in pieces; keeps one small frame."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None

    def push(self, frames: Tensor) -> float:
        """Mean flow a px frame of `[T, H, W, 3]` in 0..1, in sides of the picture.

        The step from the piece before is counted; a single first frame has no motion.
        """
        flows = []
        for frame in frames:
            small = _small_grey(frame)
            if self._last is not None:
                flows.append(_mean_flow(self._last, small))
            self._last = small
        return float(np.mean(flows)) if flows else 0.0


class MotionStrength:
    """`strength(block_index)` that falls where the input moves.

    follow: 0 leaves `strength` alone; at 1 full motion halves it. Tell it the frames of every
    block before it is asked.
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


def _mean_flow(before: np.ndarray, after: np.ndarray) -> float:
    import cv2

    flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 4, 21, 3, 7, 1.5, 0)
    side = (before.shape[0] * before.shape[1]) ** 0.5
    return float(np.hypot(flow[..., 0], flow[..., 1]).mean()) / side


def _small_grey(frame: Tensor) -> np.ndarray:
    import cv2

    pixels = (frame.detach().float().cpu().clamp(0, 1) * 255).round().byte().numpy()
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    scale = LONGEST_SIDE_PX / max(grey.shape)
    if scale >= 1:
        return grey
    size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
