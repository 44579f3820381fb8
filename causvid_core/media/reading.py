"""Video files as numbered frames, read while they are needed, from any frame on.

A source is a path or a binary file object, as PyAV opens it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from torch import Tensor

SAME = 1e-6  # seconds apart that are the same time
USUAL_FPS = 16.0


class Clock(NamedTuple):
    """When every frame of a file is shown, in seconds. exact: the file itself says so."""

    times: list[float]
    fps: float
    exact: bool


def read_clock(source: Any, usual_fps: float = USUAL_FPS) -> Clock:
    """The times of all frames; nothing is decoded. usual_fps: for a file that names no rate.

    Raises ValueError for a file without video.
    """
    with _open(source) as container:
        stream = _stream(container)
        fps = float(stream.average_rate or usual_fps)
        shown = [p.pts for p in container.demux(stream) if p.size and not p.is_discard]
        if None in shown:
            return Clock([n / fps for n in range(len(shown))], fps, exact=False)
        times = sorted(float(pts * stream.time_base) for pts in shown)
        return Clock(times, fps, exact=True)


def frames_from(source: Any, clock: Clock, first: int) -> Iterator[tuple[int, Tensor]]:
    """Number and picture `[H, W, 3]` in 0..1 of every frame, upright, beginning with the last key
    frame at or before frame `first`.
    """
    with _open(source) as container:
        stream = _stream(container)
        stream.thread_type = "AUTO"
        if clock.exact and first:
            container.seek(int(clock.times[first] / stream.time_base), stream=stream)
        for number, frame in enumerate(container.decode(stream)):
            if clock.exact:
                number = bisect_right(clock.times, float(frame.pts * stream.time_base) + SAME) - 1
            pixels = frame.to_ndarray(format="rgb24")
            turns = round(getattr(frame, "rotation", 0) / 90)
            if turns:
                pixels = np.ascontiguousarray(np.rot90(pixels, turns))
            yield number, torch.from_numpy(pixels).float() / 255


def nearest_frames(times: Sequence[float], fps: float) -> list[int]:
    """Index of the frame nearest to every tick of a clock with `fps` ticks per second.

    times: rising, in seconds; the clock starts at the first. The last frame lasts as long as the
    one before it. Empty for no frames.
    """
    if not times:
        return []
    middles = [(a + b) / 2 - times[0] for a, b in zip(times, times[1:], strict=False)]
    lasts = times[-1] - times[-2] if len(times) > 1 else 1 / fps
    end = times[-1] - times[0] + lasts / 2
    chosen: list[int] = []
    while (tick := len(chosen) / fps) < end - 1e-9:
        chosen.append(bisect_right(middles, tick + 1e-9))
    return chosen


def picked(frames: Iterable[tuple[int, Tensor]], chosen: Sequence[int]) -> Iterator[Tensor]:
    """From (index, frame) in rising order, the frames of the rising indices `chosen`.

    A missing frame is replaced by the next one.
    """
    done = 0
    for index, frame in frames:
        while done < len(chosen) and chosen[done] <= index:
            yield frame
            done += 1
        if done == len(chosen):
            return


def _open(source: Any) -> Any:
    if not isinstance(source, str):
        source.seek(0)
    return av.open(source)


def _stream(container: Any) -> Any:
    if not container.streams.video:
        raise ValueError("The file contains no video; load another one.")
    return container.streams.video[0]
