"""Video files and contact sheets, written while the frames arrive.

Frames are `[H, W, 3]`, uint8 or floats in 0..1, as NumPy arrays or tensors on any device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image

from .sheet import evenly, picture_sheet
from .writer import Frame, VideoFile, as_pixels
from .writer_codecs import VideoSettings

__all__ = ["Frame", "as_pixels", "contact_sheet", "read_frames", "write_mp4"]


def write_mp4(
    path: str | Path,
    frames: Iterable[Frame],
    fps: float,
    *,
    scale: int = 1,
    metadata: dict[str, str] | None = None,
) -> int:
    """Write H.264 that any player opens, one frame at a time; returns how many were written.

    scale, metadata: see `VideoFile`. Whatever `frames` raises passes through, and the file then
    ends with the frames before it. Raises ValueError when there are no frames or their size
    changes.
    """
    file: VideoFile | None = None
    try:
        for frame in frames:
            if frame.ndim != 3 or frame.shape[2] != 3:
                raise ValueError(
                    f"a frame has shape {tuple(frame.shape)}; expected (height, width, 3)"
                )
            if file is None:
                height, width = frame.shape[:2]
                file = VideoFile(
                    path,
                    VideoSettings(fps=fps),
                    width=width,
                    height=height,
                    scale=scale,
                    metadata=metadata,
                )
            file.add(frame[None])
    finally:
        if file is not None:
            file.close()
    if file is None:
        raise ValueError("there are no frames to write; make at least one")
    return file.px_frames


def read_frames(path: str | Path) -> Iterator[np.ndarray]:
    """The frames of a video file, uint8 `[H, W, 3]`, one at a time."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def contact_sheet(
    frames: Sequence[Frame], columns: int = 6, rows: int = 3, cell_px: int = 192, gap_px: int = 6
) -> Image.Image:
    """Evenly chosen frames, first and last included, side by side on a dark ground.

    Cells are `cell_px` wide; small frames are enlarged without smoothing, to show their pixels.
    Raises ValueError when there are no frames.
    """
    if not len(frames):
        raise ValueError("there are no frames to show; make at least one")
    chosen = evenly(len(frames), columns * rows)
    images = [Image.fromarray(as_pixels(frames[n])) for n in chosen]
    return picture_sheet(images, columns=columns, cell_px=cell_px, gap_px=gap_px)
