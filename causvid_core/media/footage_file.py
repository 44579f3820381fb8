"""Footage in video files, read frame by frame at another rate; a file is never held whole."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
import torch
from torch import Tensor

from .footage import nearest_frames, picked

SAME = 1e-6  # seconds apart that are the same time

Source = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Footage:
    """px_frames: how many there are at the rate asked for. text: what came in, for a notice. name:
    tells contents apart. read(skip): px frames `[H, W, 3]` in 0..1 from number `skip` on."""

    px_frames: int
    text: str
    name: str
    read: Callable[[int], Iterator[Tensor]]


def footage_file(source: Source, fps: float, start: float = 0.0, duration: float = 0.0) -> Footage:
    """The footage of a video file, as `fps` px frames a second.

    source: a path, or the file's contents (BytesIO). start, duration: of the part to take, in
    seconds; 0 for all. Raises ValueError when there is nothing to see, OSError when there is no
    such file.
    """
    opened = source if hasattr(source, "read") else os.fspath(source)
    clock = _clock(opened, fps)
    first = bisect_left(clock.times, start - SAME)
    end = bisect_left(clock.times, start + duration - SAME) if duration else len(clock.times)
    if first >= end:
        raise ValueError("The video has no frames; load another one, or trim less of it.")
    chosen = [first + index for index in nearest_frames(clock.times[first:end], fps)]

    def read(skip: int) -> Iterator[Tensor]:
        rest = chosen[skip:]
        return picked(_decoded(opened, clock, rest[0]), rest) if rest else iter(())

    name = f"{_identity(opened)}:{start}:{duration}"
    return Footage(len(chosen), told(end - first, clock.fps, len(chosen), fps), name, read)


def told(frames: int, fps: float, px_frames: int, wanted_fps: float) -> str:
    """What came in, and as what it is taken."""
    text = f"{counted(frames)} at {fps:.4g} frames per second"
    return text if px_frames == frames else f"{text}, taken as {px_frames} at {wanted_fps:g}"


def counted(frames: int) -> str:
    """So many frames, in words."""
    return "1 frame" if frames == 1 else f"{frames} frames"


class _Clock(NamedTuple):
    """When every frame of a file is shown, in seconds; `exact` if the file says so itself."""

    times: list[float]
    fps: float
    exact: bool


def _clock(source: Any, usual: float) -> _Clock:
    with _open(source) as container:
        stream = _stream(container)
        fps = float(stream.average_rate or usual)
        shown = [p.pts for p in container.demux(stream) if p.size and not p.is_discard]
        if None in shown:
            return _Clock([n / fps for n in range(len(shown))], fps, exact=False)
        times = sorted(float(pts * stream.time_base) for pts in shown)
        return _Clock(times, fps, exact=True)


def _decoded(source: Any, clock: _Clock, first: int) -> Iterator[tuple[int, Tensor]]:
    """Number and picture of every frame, from the last key frame before frame `first` on."""
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


def _open(source: Any) -> Any:
    if not isinstance(source, str):
        source.seek(0)
    return av.open(source)


def _stream(container: Any) -> Any:
    if not container.streams.video:
        raise ValueError("The file has no video in it; load another one.")
    return container.streams.video[0]


def _identity(source: Any) -> str:
    if isinstance(source, str):
        stat = Path(source).stat()
        return f"{source}:{stat.st_mtime_ns}:{stat.st_size}"
    return hashlib.sha256(source.getbuffer()).hexdigest()
