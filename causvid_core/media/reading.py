"""Video files as numbered frames, read while they are needed, from any frame on.

A source is a path or a binary file object, as PyAV opens it.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import av
from av.stream import Disposition
from torch import Tensor

from .developing import Developer, Look, look_of

SAME = 1e-6  # seconds apart that are the same time
USUAL_FPS = 16.0
PARTIAL = 0.1  # of a tick: less than this left of the last frame is the rounding of a container
_TRUSTED = 0.05  # share by which the rate that a file names may be off
_EARLIER = 10.0  # seconds that a second search begins before a first one that came too late


class Clock(NamedTuple):
    """When every frame of a file is shown, in seconds from the first on.

    fps: on average. exact: the file itself names the times. origin: the first frame's time in the
    file, in seconds. lasts: how long the last frame is shown.
    """

    times: Sequence[float]
    fps: float
    exact: bool
    origin: float = 0.0
    lasts: float = 0.0


def read_clock(source: Any, usual_fps: float = USUAL_FPS) -> Clock:
    """The times of all frames; nothing is decoded. usual_fps: for a file that names no rate.

    Raises ValueError in a sentence for a file without readable video, FileNotFoundError.
    """
    with _opened(source) as container:
        stream = _stream(container)
        fps = float(stream.average_rate or usual_fps)
        shown, packets, lasts = array("q"), 0, 0
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                packets += 1
                if packet.pts is not None:
                    if not shown or packet.pts > shown[-1]:
                        lasts = packet.duration or 0
                    shown.append(packet.pts)
        except av.FFmpegError:
            pass  # a file that breaks off has the frames before that
        if not packets:
            return Clock([], fps, exact=True)
        if 2 * len(shown) < packets:
            return Clock(array("d", (n / fps for n in range(packets))), fps, False, 0.0, 1 / fps)
        base, ticks = float(stream.time_base), sorted(set(shown))
        times = array("d", ((tick - ticks[0]) * base for tick in ticks))
        last = _last_step(times, lasts * base, fps)
        measured = len(times) / (times[-1] + last)
        if abs(fps / measured - 1) > _TRUSTED and len(times) > 1:
            fps = measured
        return Clock(times, fps, True, ticks[0] * base, last)


def look_at(source: Any) -> Look:
    """How the first frame that can be decoded is read.

    Raises ValueError in a sentence when there is none, or its colours cannot be read.
    """
    with _opened(source) as container:
        stream = _stream(container)
        context = _decoder(stream)
        for frame in _decoded(container, stream, context):
            return look_of(frame, stream, context)
    raise ValueError(f"No frame of {name_of(source)} can be decoded; the file is damaged.")


def frames_from(source: Any, clock: Clock, first: int) -> Iterator[tuple[int, Tensor]]:
    """Number and picture `[H, W, 3]` in 0..1 of every frame, as its author saw it, beginning at
    frame `first` or before it. Frames that are damaged are left out.
    """
    with _opened(source) as container:
        stream = _stream(container)
        context = _decoder(stream)
        develop = Developer(stream, context)
        base, number = float(stream.time_base), -1
        for frame in _from(container, stream, context, clock, first):
            if not clock.exact:
                number += 1
            elif frame.pts is not None:
                time = frame.pts * base - clock.origin
                number = max(number, bisect_right(clock.times, time + SAME) - 1)
            if number >= 0:
                yield number, develop(frame)


def nearest_frames(times: Sequence[float], fps: float, lasts: float | None = None) -> list[int]:
    """Index of the frame nearest to every tick of a clock with `fps` ticks per second.

    times: rising, in seconds; the clock starts at the first. lasts: how long the last frame is
    shown; as long as the one before it if None. Empty for no frames.
    """
    if not times:
        return []
    middles = array("d", ((a + b) / 2 - times[0] for a, b in pairwise(times)))
    if lasts is None:
        lasts = times[-1] - times[-2] if len(times) > 1 else 1 / fps
    end = times[-1] - times[0] + lasts - PARTIAL / fps
    chosen: list[int] = []
    while not chosen or len(chosen) / fps < end:
        chosen.append(bisect_right(middles, len(chosen) / fps + 1e-9))
    return chosen


def picked(frames: Iterable[tuple[int, Tensor]], chosen: Sequence[int]) -> Iterator[Tensor]:
    """From (index, frame) in rising order, the frames of the rising indices `chosen`.

    A missing frame is replaced by the next one, and at the end by the last one.
    """
    done, frame = 0, None
    for index, frame in frames:
        while done < len(chosen) and chosen[done] <= index:
            yield frame
            done += 1
        if done == len(chosen):
            return
    while frame is not None and done < len(chosen):
        yield frame
        done += 1


def name_of(source: Any) -> str:
    """The file's name for a sentence, without the folders that it lies in."""
    return Path(source).name if isinstance(source, (str, os.PathLike)) else "the video"


@contextmanager
def _opened(source: Any) -> Iterator[Any]:
    """The open container. FFmpeg's errors name the whole path, and a person should not see it."""
    if not isinstance(source, str):
        source.seek(0)
    try:
        container = av.open(source)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {name_of(source)}; choose another.") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ValueError(_unreadable(source, error)) from None
    with container:
        yield container


def _unreadable(source: Any, error: Exception) -> str:
    name = name_of(source)
    if isinstance(error, PermissionError):
        return f"{name} may not be read; allow it, or load another file."
    size = os.path.getsize(source) if isinstance(source, str) else source.seek(0, os.SEEK_END)
    if not size:
        return f"{name} is empty (0 bytes); load another file."
    return (
        f"{name} is no video that can be read: it is damaged, cut off or of another kind; load "
        "another file."
    )


def _stream(container: Any) -> Any:
    """The video of a file, not the picture of its cover."""
    found = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not found:
        raise ValueError("The file contains no video; load another one.")
    if found[0].codec_context is None:
        raise ValueError("This build of FFmpeg has no decoder for the video; convert it to H.264.")
    return found[0]


def _decoder(stream: Any) -> Any:
    """What decodes the stream. FFmpeg's own decoders of VP8 and VP9 would drop the alpha."""
    context, name = stream.codec_context, stream.codec_context.name
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" and name in ("vp8", "vp9"):
        try:
            context = av.CodecContext.create("libvpx" if name == "vp8" else "libvpx-vp9", "r")
        except ValueError:
            raise ValueError(
                f"This build of FFmpeg cannot read the alpha of {name} video; convert it to ProRes "
                "4444."
            ) from None
    context.thread_type = "AUTO"
    return context


def _decoded(container: Any, stream: Any, context: Any) -> Iterator[Any]:
    """Frames as they come, without those that are damaged."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None  # the file breaks off here
        try:
            # What follows the last packet flushes the decoder.
            frames = context.decode(packet if packet is not None and packet.size else None)
        except av.FFmpegError:
            frames = []
        yield from frames
        if packet is None or not packet.size:
            return


def _from(container: Any, stream: Any, context: Any, clock: Clock, first: int) -> Iterator[Any]:
    """Decoded frames from frame `first` on or earlier; a search that came too late is repeated."""
    base = float(stream.time_base)
    if clock.exact and first:
        wanted = clock.times[first] + clock.origin
        for seconds in (wanted, wanted - _EARLIER):
            try:
                container.seek(int(seconds / base), stream=stream)
            except av.FFmpegError:
                break
            context.flush_buffers()
            frames = _decoded(container, stream, context)
            start = next(frames, None)
            if start is not None and start.pts is not None and start.pts * base <= wanted + SAME:
                yield from chain([start], frames)
                return
        container.seek(int(clock.origin / base), stream=stream)
        context.flush_buffers()
    yield from _decoded(container, stream, context)


def _last_step(times: Sequence[float], named: float, fps: float) -> float:
    """How long the last frame is shown. named: what the file says, often half of it or nothing."""
    recent = times[-100:]
    steps = [b - a for a, b in pairwise(recent)]
    usual = median(steps) if steps else 1 / fps
    return named if named > 0.75 * usual else usual
