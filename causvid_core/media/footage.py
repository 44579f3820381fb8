"""Footage in video files, read frame by frame at another rate; a file is never in memory whole."""

from __future__ import annotations

import hashlib
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from .reading import SAME, frames_from, look_at, name_of, nearest_frames, picked, read_clock

Source = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Footage:
    """px_frames: how many there are at the wanted rate. text: a notice about what was read.
    identify(): tells its contents from others. read(skip): px frames `[H, W, 3]` in 0..1 from
    number `skip` on.
    """

    px_frames: int
    text: str
    identify: Callable[[], str]
    read: Callable[[int], Iterator[Tensor]]


def footage_file(source: Source, fps: float, start: float = 0.0, duration: float = 0.0) -> Footage:
    """The footage of a video file, at `fps` px frames per second.

    source: a path, or the file's contents (BytesIO). start, duration: of the part to use, in
    seconds from the first frame on; 0 for all of it. Raises ValueError in a sentence when there is
    nothing to see, OSError when there is no such file.
    """
    opened = source if hasattr(source, "read") else os.fspath(source)
    clock = read_clock(opened, fps)
    first = bisect_left(clock.times, start - SAME)
    end = bisect_left(clock.times, start + duration - SAME) if duration else len(clock.times)
    if first >= end:
        raise ValueError(_nothing_in(opened, clock.times, clock.lasts, start))
    notes = look_at(opened).notes()
    lasts = clock.lasts if end == len(clock.times) else clock.times[end] - clock.times[end - 1]
    # Footage of hours has many frames: 8 bytes for each, not an object.
    nearest = nearest_frames(clock.times[first:end], fps, lasts)
    chosen = array("q", (first + index for index in nearest))

    def read(skip: int) -> Iterator[Tensor]:
        rest = chosen[skip:]
        return picked(frames_from(opened, clock, rest[0]), rest) if rest else iter(())

    text = describe_footage(end - first, clock.fps, len(chosen), fps)
    return Footage(
        len(chosen),
        "; ".join([text, *notes]),
        lambda: f"{_identity(opened)}:{start}:{duration}",
        read,
    )


def video_rate(source: Source) -> float:
    """Frames per second of a video file, on average. Errors as in `footage_file`."""
    return read_clock(source if hasattr(source, "read") else os.fspath(source)).fps


def describe_footage(frames: int, fps: float, px_frames: int, wanted_fps: float) -> str:
    """What came in, and how many px frames it is read as."""
    text = f"{frames_in_words(frames)} at {fps:.4g} frames per second"
    return text if px_frames == frames else f"{text}, taken as {px_frames} at {wanted_fps:.4g}"


def frames_in_words(frames: int) -> str:
    """`1 frame` or `n frames`."""
    return "1 frame" if frames == 1 else f"{frames} frames"


def _nothing_in(source: Any, times: Sequence[float], lasts: float, start: float) -> str:
    name = name_of(source)
    if not times:
        return f"{name} has no frames: it is damaged or cut off; load another file."
    return f"{name} ends after {times[-1] + lasts:.2f} s, before its trim at {start:g} s begins."


def _identity(source: Any) -> str:
    if isinstance(source, str):
        stat = Path(source).stat()
        return f"{source}:{stat.st_mtime_ns}:{stat.st_size}"
    return hashlib.sha256(source.getbuffer()).hexdigest()
