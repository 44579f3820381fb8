"""VIDEO, IMAGE and LATENT as footage: px frames at 16 a second, read while they are needed."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from comfy_api.latest import Input
from torch import Tensor

from ...causvid_core.media.fitting import as_rgb
from ...causvid_core.media.footage import nearest_frames, picked
from ...causvid_core.stream.geometry import FPS

SAME = 1e-6  # seconds apart that are the same time


@dataclass(frozen=True)
class Footage:
    """px_frames: how many there are at 16 a second. text: what came in, for a notice. name:
    tells contents apart. read(skip): px frames `[H, W, 3]` in 0..1 from number `skip` on."""

    px_frames: int
    text: str
    name: str
    read: Callable[[int], Iterator[Tensor]]


def footage(video: Any = None, images: Tensor | None = None) -> Footage:
    """The footage of a VIDEO or of an IMAGE batch, which is taken to have 16 frames a second.

    A video file is never held whole. Raises ValueError when there is nothing to see.
    """
    if images is not None:
        return _from_images(images, range(len(images)), f"{_count(len(images))} of IMAGE")
    if type(video).get_stream_source is Input.Video.get_stream_source:  # made of images in memory
        parts = video.get_components()
        images, fps = parts.images, float(parts.frame_rate)
        chosen = nearest_frames([n / fps for n in range(len(images))], FPS)
        return _from_images(images, chosen, _told(len(images), fps, len(chosen)))
    return _from_file(video)


def _from_images(images: Tensor, chosen: Any, text: str) -> Footage:
    images = as_rgb(images)

    def read(skip: int) -> Iterator[Tensor]:
        return (images[index] for index in chosen[skip:])

    sample = images[:: max(1, len(images) // 16), ::7, ::7].contiguous().cpu().numpy()
    name = hashlib.sha256(f"{tuple(images.shape)}".encode() + sample.tobytes()).hexdigest()
    return Footage(len(chosen), text, name, read)


class _Clock(NamedTuple):
    """When every frame of a file is shown, in seconds; `exact` if the file says so itself."""

    times: list[float]
    fps: float
    exact: bool


def _from_file(video: Any) -> Footage:
    source = video.get_stream_source()
    start, duration = getattr(video, "get_active_trim_window", lambda: (0.0, 0.0))()
    clock = _clock(source)
    first = bisect_left(clock.times, start - SAME)
    end = bisect_left(clock.times, start + duration - SAME) if duration else len(clock.times)
    if first >= end:
        raise ValueError("The video has no frames; load another one, or trim less of it.")
    chosen = [first + index for index in nearest_frames(clock.times[first:end], FPS)]

    def read(skip: int) -> Iterator[Tensor]:
        rest = chosen[skip:]
        return (
            picked(_decoded(video.get_stream_source(), clock, rest[0]), rest) if rest else iter(())
        )

    name = f"{_identity(source)}:{start}:{duration}"
    return Footage(len(chosen), _told(end - first, clock.fps, len(chosen)), name, read)


def _clock(source: Any) -> _Clock:
    with av.open(source) as container:
        stream = _stream(container)
        fps = float(stream.average_rate or FPS)
        shown = [p.pts for p in container.demux(stream) if p.size and not p.is_discard]
        if None in shown:
            return _Clock([n / fps for n in range(len(shown))], fps, exact=False)
        times = sorted(float(pts * stream.time_base) for pts in shown)
        return _Clock(times, fps, exact=True)


def _decoded(source: Any, clock: _Clock, first: int) -> Iterator[tuple[int, Tensor]]:
    """Number and picture of every frame, from the last key frame before frame `first` on."""
    with av.open(source) as container:
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


def _stream(container: Any) -> Any:
    if not container.streams.video:
        raise ValueError("The file has no video in it; load another one.")
    return container.streams.video[0]


def _identity(source: Any) -> str:
    if isinstance(source, str):
        stat = Path(source).stat()
        return f"{source}:{stat.st_mtime_ns}:{stat.st_size}"
    return hashlib.sha256(source.getbuffer()).hexdigest()


def _told(frames: int, fps: float, px_frames: int) -> str:
    text = f"{_count(frames)} at {fps:.4g} frames per second"
    return text if px_frames == frames else f"{text}, taken as {px_frames} at {FPS:g}"


def _count(frames: int) -> str:
    return "1 frame" if frames == 1 else f"{frames} frames"
