"""Whole videos in one call: written, read, and shown as a contact sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from PIL import Image

from .pixels import Array, Frame, as_pixels
from .reading import frames_from, read_clock
from .sheet import evenly, picture_sheet
from .writer import VideoFile
from .writer_codecs import VideoSettings


def write_mp4(
    path: str | Path,
    frames: Iterable[Frame],
    fps: float,
    *,
    scale: int = 1,
    metadata: dict[str, str] | None = None,
) -> int:
    """Write H.264 that any player opens, one frame at a time; returns how many were written.

    scale, metadata: see `VideoFile`. What `frames` raises passes through, and the file then ends
    with the frames before it. Raises ValueError when there are no frames or their size changes.
    """
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ValueError("there are no frames to write; make at least one")
    height, width = as_pixels(first).shape[:2]
    with VideoFile(
        path, VideoSettings(fps=fps), width=width, height=height, scale=scale, metadata=metadata
    ) as file:
        for frame in chain([first], remaining):
            file.add(frame[None])
    return file.px_frames


def read_frames(path: str | Path) -> Iterator[Array]:
    """The frames of a video file as its author saw them, uint8 `[H, W, 3]`, one at a time."""
    for _, frame in frames_from(str(path), read_clock(str(path)), 0):
        yield as_pixels(frame)


def contact_sheet(
    frames: Sequence[Frame], columns: int = 6, rows: int = 3, cell_px: int = 192, gap_px: int = 6
) -> Image.Image:
    """Evenly chosen frames, the first and the last among them, as `picture_sheet` lays them out.

    Raises ValueError when there are no frames.
    """
    if not len(frames):
        raise ValueError("there are no frames to show; make at least one")
    chosen = evenly(len(frames), columns * rows)
    images = [Image.fromarray(as_pixels(frames[n])) for n in chosen]
    return picture_sheet(images, columns=columns, cell_px=cell_px, gap_px=gap_px)
