"""Tiny videos of every kind that people have, and what their author saw."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

WIDTH, HEIGHT, FRAMES = 64, 48, 12
KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
ICTCP = 14
UNTAGGED = 2
CORNERS = ((30, 200, 60), (200, 40, 90), (60, 70, 220))  # top left, top right, bottom left
IDENTITY = (1, 0, 0, 1)


@dataclass(frozen=True)
class Kind:
    """matrix, full, transfer: as tagged. coded: the matrix that was used where none is tagged."""

    matrix: int = 1
    full: bool = False
    form: str = "yuv420p"
    codec: str = "libx264"
    suffix: str = ".mp4"
    turn: tuple[int, int, int, int] = IDENTITY
    start: float = 0.0
    fps: Fraction = Fraction(16)
    aspect: Fraction = Fraction(1)
    alpha: float = 1.0
    coded: int = 0
    height: int = HEIGHT
    times: tuple[float, ...] = ()

    @property
    def shown(self) -> tuple[float, ...]:
        return self.times or tuple(n / float(self.fps) for n in range(FRAMES))


def picture(n: int, height: int = HEIGHT) -> np.ndarray:
    """Three colours and, bottom right, a grey that tells the number of the frame; [H, W, 3]."""
    values = np.zeros((height, WIDTH, 3))
    half, middle = height // 2, WIDTH // 2
    values[:half, :middle], values[:half, middle:], values[half:, :middle] = CORNERS
    values[half:, middle:] = 40 + 15 * n
    return values


def seen(kind: Kind, n: int) -> Tensor:
    """What the author saw of frame `n`, in levels of 8 bits; [H, W, 3]."""
    values = np.repeat(picture(n, kind.height), int(kind.aspect), axis=1) * kind.alpha
    a, b, c, d = kind.turn
    values = values[::d, ::a] if a else values.swapaxes(0, 1)[::b, ::c]
    return torch.from_numpy(values.copy())


def centres(frame: Tensor) -> Tensor:
    """The middles of the four corners, [4, 3]."""
    height, width = frame.shape[:2]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return torch.stack([frame[y, x] for y in rows for x in columns])


def write(folder: Path, kind: Kind) -> Path:
    path = folder / f"clip{kind.suffix}"
    options = {"qp": "0"} if kind.codec == "libx264" else {}
    if kind.codec == "libvpx-vp9":
        options = {"crf": "0", "b": "0", "lossless": "1", "auto-alt-ref": "0"}
    with av.open(str(path), "w") as container:
        rate = Fraction(kind.fps) if not kind.times else 100
        stream = container.add_stream(kind.codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, kind.height, kind.form
        context = stream.codec_context
        context.sample_aspect_ratio = kind.aspect
        context.time_base = Fraction(1, 90000)
        tags = UNTAGGED if kind.coded else kind.matrix
        context.colorspace, context.color_range = tags, 2 if kind.full else 1
        if kind.codec == "libvpx-vp9" and "a" in kind.form[:4]:
            stream.metadata["alpha_mode"] = "1"
        for n, time in enumerate(kind.shown):
            frame = _frame(kind, picture(n, kind.height))
            frame.pts = round((time + kind.start) * 90000)
            frame.time_base = Fraction(1, 90000)
            frame.colorspace, frame.color_range = tags, 2 if kind.full else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if kind.turn != IDENTITY:
        turn_mp4(path, kind.turn)
    return path


def turn_mp4(path: Path, turn: tuple[int, int, int, int]) -> None:
    """Set the display matrix of an MP4 file's only track."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (65536 * value for value in turn)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def _frame(kind: Kind, rgb: np.ndarray) -> av.VideoFrame:
    form = av.VideoFormat(kind.form, WIDTH, kind.height)
    if form.is_rgb:
        pixels = np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255 * kind.alpha)], axis=-1)
        layout = "rgba" if kind.form == "rgba" else "rgb24"
        pixels = pixels[..., : len(layout) if layout == "rgba" else 3].round().astype(np.uint8)
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=layout)
    bits = form.components[0].bits
    frame = av.VideoFrame(WIDTH, kind.height, kind.form)
    for plane, values in zip(frame.planes, _ycbcr(kind, rgb / 255, bits), strict=True):
        rows, columns = values.shape[0] // plane.height, values.shape[1] // plane.width
        values = values[::rows, ::columns].round()
        dtype = np.uint8 if bits == 8 else np.uint16
        lines = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        lines[:, : plane.width] = values.astype(dtype)
    return frame


def _ycbcr(kind: Kind, rgb: np.ndarray, bits: int) -> list[np.ndarray]:
    kr, kb = KR_KB.get(kind.coded or kind.matrix, KR_KB[1])
    red, green, blue = np.moveaxis(rgb, -1, 0)
    y = kr * red + (1 - kr - kb) * green + kb * blue
    u, v = (blue - y) / (2 - 2 * kb), (red - y) / (2 - 2 * kr)
    most, step = 2**bits - 1, 2 ** (bits - 8)
    if kind.full:
        planes = [most * y, 2 ** (bits - 1) + most * u, 2 ** (bits - 1) + most * v]
    else:
        planes = [(16 + 219 * y) * step, (128 + 224 * u) * step, (128 + 224 * v) * step]
    if kind.form.startswith("yuva"):
        planes.append(np.full_like(y, kind.alpha * most))
    return planes[:1] if kind.form.startswith("gray") else planes
