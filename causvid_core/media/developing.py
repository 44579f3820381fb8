"""Decoded frames of a video as the pictures that its author saw: colour, alpha, shape, turn."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any, NamedTuple

import av.filter
import numpy as np
import torch
from torch import Tensor

from .hdr import BT2020, SDR, TRANSFERS, as_bt709
from .pixels import Array

HD_HEIGHT = 576  # untagged video that is higher counts as BT.709
MOST_STRETCHED = 10  # a pixel aspect ratio beyond this is a mistake of the file
BACKGROUND = "black"

# FFmpeg's numbers (ITU-T H.273).
_BT709, _UNKNOWN, _BT601, _FULL, _LIMITED = 1, 2, 6, 2, 1
_MATRICES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
_MATRICES[10] = "BT.2020"
_UNREADABLE = {8: "YCgCo", 11: "YDzDx", 12: "derived", 13: "derived", 14: "ICtCp", 15: "IPT"}
_FLAGS = "accurate_rnd+full_chroma_int+full_chroma_inp+bicubic"


class Look(NamedTuple):
    """How the frames of a stream are to be read.

    matrix: of YCbCr, None for RGB and grey. tagged: whether the file names it. aspect: width of a
    pixel by its height. turn: the display matrix `a b c d`.
    """

    matrix: int | None
    tagged: bool
    full: bool
    deep: bool
    alpha: bool
    transfer: str
    wide: bool
    aspect: Fraction
    turn: tuple[int, int, int, int]

    def notes(self) -> list[str]:
        """What an artist should know about the colours."""
        found = []
        if self.matrix is not None and not self.tagged:
            found.append(f"colours not tagged, read as {_MATRICES[self.matrix]}")
        if self.transfer != SDR:
            found.append(f"HDR ({self.transfer}) tone-mapped to BT.709")
        if self.alpha:
            found.append(f"transparent parts shown over {BACKGROUND}")
        return found


def look_of(frame: Any, stream: Any, context: Any) -> Look:
    """How to read a decoded frame. Raises ValueError for colours that cannot be read.

    context: of the decoder that gave it.
    """
    form = frame.format
    coloured = not form.is_rgb and len(form.components) >= 3
    matrix, primaries = int(frame.colorspace), int(context.color_primaries)
    if matrix in _UNREADABLE and coloured:
        raise ValueError(
            f"The colours of the video are coded as {_UNREADABLE[matrix]}, which cannot be read; "
            "convert it to BT.709."
        )
    tagged = matrix in _MATRICES
    transfer = TRANSFERS.get(int(context.color_trc), SDR)
    if not tagged:
        wide = primaries == BT2020 or transfer != SDR
        matrix = BT2020 if wide else _BT709 if frame.height > HD_HEIGHT else _BT601
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if not Fraction(1, MOST_STRETCHED) <= aspect <= MOST_STRETCHED:
        aspect = Fraction(1)
    return Look(
        matrix=matrix if coloured else None,
        tagged=tagged,
        full=int(frame.color_range) == _FULL or form.name.startswith("yuvj"),
        deep=max(part.bits for part in form.components) > 8,
        alpha=form.name == "pal8" or any(part.is_alpha for part in form.components),
        transfer=transfer,
        wide=primaries == BT2020 or transfer != SDR,
        aspect=aspect,
        turn=_turn(frame),
    )


class Developer:
    """Turns decoded frames into pictures; keeps one conversion for as long as frames are alike."""

    def __init__(self, stream: Any, context: Any) -> None:
        self._stream, self._context = stream, context
        self._key: Any = None
        self._graph: Any = None

    def __call__(self, frame: Any) -> Tensor:
        """The picture `[H, W, 3]` in 0..1, BT.709, upright, with square pixels."""
        look = look_of(frame, self._stream, self._context)
        width, height = square_size(frame.width, frame.height, look.aspect)
        layout = ("rgba64le" if look.deep else "rgba") if look.alpha else ""
        layout = layout or ("rgb48le" if look.deep else "rgb24")
        key = (look, frame.format.name, frame.width, frame.height)
        if key != self._key:
            self._key, self._graph = key, _graph(frame, width, height, layout)
        if look.matrix is not None:
            frame.colorspace = look.matrix
            frame.color_range = _FULL if look.full else _LIMITED
        frame.pts = 0
        self._graph.push(frame)
        values = turned(_pixels(self._graph.pull(), 4 if look.alpha else 3), look.turn)
        levels = values.astype(np.float32) / (65535 if values.dtype == np.uint16 else 255)
        pixels = torch.from_numpy(np.ascontiguousarray(levels))
        colour = pixels[..., :3]
        if look.transfer != SDR or look.wide:
            colour = as_bt709(colour, look.transfer, look.wide)
        return colour * pixels[..., 3:] if look.alpha else colour


def square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size with square pixels, of which no side is smaller than before."""
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def turned(pixels: Array, turn: tuple[int, int, int, int]) -> Array:
    """`[H, W, C]` as the display matrix says: x' = a x + c y, y' = b x + d y."""
    a, b, c, d = turn
    if a or d:
        return pixels[:: d or 1, :: a or 1]
    return pixels.swapaxes(0, 1)[:: b or 1, :: c or 1]


def _turn(frame: Any) -> tuple[int, int, int, int]:
    """Entries of the display matrix, rounded to quarter turns."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_rest = struct.unpack("=9i", bytes(data))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def _graph(frame: Any, width: int, height: int, layout: str) -> Any:
    graph = av.filter.Graph()
    begin = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    scale = graph.add("scale", f"w={width}:h={height}:flags={_FLAGS}")
    form, end = graph.add("format", layout), graph.add("buffersink")
    begin.link_to(scale)
    scale.link_to(form)
    form.link_to(end)
    graph.configure()
    return graph


def _pixels(frame: Any, channels: int) -> Array:
    """A packed frame as `[H, W, channels]`, without the padding of its lines."""
    plane, deep = frame.planes[0], "64" in frame.format.name or "48" in frame.format.name
    values = np.frombuffer(plane, np.dtype("<u2") if deep else np.uint8)
    line = plane.line_size // values.itemsize
    rows = values.reshape(-1, line)[: frame.height, : frame.width * channels]
    return rows.reshape(frame.height, frame.width, channels)
