"""Footage in video files, read frame by frame at another rate; a file is never in memory whole."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from .reading import SAME, frames_from, nearest_frames, picked, read_clock

Source = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Footage:
    """px_frames: how many there are at the wanted rate. text: a notice about what was read. name:
    identifies the contents. read(skip): px frames `[H, W, 3]` in 0..1 from number `skip` on.
    """

    px_frames: int
    text: str
    name: str
    read: Callable[[int], Iterator[Tensor]]


def footage_file(source: Source, fps: float, start: float = 0.0, duration: float = 0.0) -> Footage:
    """The footage of a video file, at `fps` px frames per second.

    source: a path, or the file's contents (BytesIO). start, duration: of the part to use, in
    seconds; 0 for all of it. Raises ValueError when there are no frames, OSError when there is no
    such file.
    """
    opened = source if hasattr(source, "read") else os.fspath(source)
    clock = read_clock(opened, fps)
    first = bisect_left(clock.times, start - SAME)
    end = bisect_left(clock.times, start + duration - SAME) if duration else len(clock.times)
    if first >= end:
        raise ValueError("The video has no frames; load another one, or trim less of it.")
    chosen = [first + index for index in nearest_frames(clock.times[first:end], fps)]

    def read(skip: int) -> Iterator[Tensor]:
        rest = chosen[skip:]
        return picked(frames_from(opened, clock, rest[0]), rest) if rest else iter(())

    name = f"{_identity(opened)}:{start}:{duration}"
    return Footage(
        len(chosen), describe_footage(end - first, clock.fps, len(chosen), fps), name, read
    )


def describe_footage(frames: int, fps: float, px_frames: int, wanted_fps: float) -> str:
    """What came in, and how many px frames it is read as."""
    text = f"{frames_in_words(frames)} at {fps:.4g} frames per second"
    return text if px_frames == frames else f"{text}, taken as {px_frames} at {wanted_fps:g}"


def frames_in_words(frames: int) -> str:
    """`1 frame` or `n frames`."""
    return "1 frame" if frames == 1 else f"{frames} frames"


def _identity(source: Any) -> str:
    if isinstance(source, str):
        stat = Path(source).stat()
        return f"{source}:{stat.st_mtime_ns}:{stat.st_size}"
    return hashlib.sha256(source.getbuffer()).hexdigest()
