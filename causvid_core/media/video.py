"""Video files and contact sheets, written while the frames arrive.

Frames are `[H, W, 3]`, uint8 or floats in 0..1, as NumPy arrays or tensors on any device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .sheet import evenly, picture_sheet

Frame = Tensor | np.ndarray

CRF = 18  # x264's quality: lower is better and larger; 18 looks like the original
SMALLEST_SIDE_PX = 16


def write_mp4(
    path: str | Path,
    frames: Iterable[Frame],
    fps: float,
    *,
    scale: int = 1,
    metadata: dict[str, str] | None = None,
) -> int:
    """Write H.264 that any player opens, one frame at a time; returns how many were written.

    scale enlarges small frames by whole px. Odd sizes lose their last row or column, which the
    format cannot hold. Whatever `frames` raises passes through, and the file then ends with the
    frames before it. Raises ValueError when there are no frames or their size changes.
    """
    path = Path(path)
    written = 0
    size: tuple[int, ...] = ()
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        container.metadata.update(metadata or {})
        try:
            for frame in frames:
                pixels = as_pixels(frame)
                if not size:
                    size = pixels.shape
                    stream = _stream(container, size, fps, scale)
                elif pixels.shape != size:
                    raise ValueError(
                        f"frame {written} is {_px(pixels.shape)} px, the first was {_px(size)} px; "
                        "a video has one size"
                    )
                container.mux(stream.encode(_enlarged(pixels, scale, stream)))
                written += 1
        finally:
            if written:
                container.mux(stream.encode())
    if not written:
        path.unlink(missing_ok=True)
        raise ValueError("there are no frames to write; make at least one")
    return written


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


def as_pixels(frame: Frame) -> np.ndarray:
    """A frame as uint8 `[H, W, 3]`. Raises ValueError for any other shape."""
    values = frame.detach().cpu() if isinstance(frame, Tensor) else torch.from_numpy(frame)
    if values.ndim != 3 or values.shape[2] != 3:
        raise ValueError(f"a frame has shape {tuple(values.shape)}; expected (height, width, 3)")
    if values.is_floating_point():
        values = (values.float() * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(values.numpy())


def _stream(
    container: av.container.OutputContainer, size: tuple[int, ...], fps: float, scale: int
) -> av.VideoStream:
    height, width = (side * scale // 2 * 2 for side in size[:2])
    if min(height, width) < SMALLEST_SIDE_PX:
        raise ValueError(
            f"frames of {_px(size)} px are too small for H.264; use a larger scale than {scale}"
        )
    rate = Fraction(fps).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate, options={"crf": str(CRF)})
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    return stream


def _enlarged(pixels: np.ndarray, scale: int, stream: av.VideoStream) -> av.VideoFrame:
    if scale > 1:
        pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    cut = np.ascontiguousarray(pixels[: stream.height, : stream.width])
    return av.VideoFrame.from_ndarray(cut, format="rgb24")


def _px(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
