"""Video files that are written while their frames arrive, and play up to there at any time.

If the program is killed, all frames but the last are in the file.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
import torch
from torch import Tensor

from .writer_codecs import (
    CODECS,
    DEFAULT,
    VideoSettings,
    checked_settings,
    container_options,
    encoder_options,
    is_deep,
)

log = logging.getLogger("causvid")

Frame = Tensor | np.ndarray

SMALLEST_SIDE_PX = 16
WAITING = 8  # pieces, of a latent frame each, that may wait for a writer's thread
# FFmpeg's numbers. Programs that read files with PyAV before 17, ComfyUI among them, take any
# video for BT.601, whatever it says; players do as it says. So it is that, and says so.
_BT601, _BT709, _LIMITED = 6, 1, 1


class VideoFile:
    """A video file being written: `add` frames, then `close`. A context manager.

    settings: see `VideoSettings`; the file's suffix must be the codec's. width, height: of the
    frames in px; odd sizes lose their last row or column, which most formats cannot hold. scale
    enlarges small frames by whole px. metadata: texts by name, as the file's tags. A file
    that gets no frame is removed.
    Raises ValueError for settings or sizes that make no file, OSError where it cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        settings: VideoSettings = DEFAULT,
        *,
        width: int,
        height: int,
        scale: int = 1,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.settings = Path(path), checked_settings(settings)
        self.px_frames = 0
        self._broken = False
        self._size, self._scale = (height, width), scale
        codec = CODECS[self.settings.codec]
        if self.path.suffix != codec.suffix:
            raise ValueError(
                f"{self.path.name} cannot hold {settings.codec}; name it {self.path.stem}"
                f"{codec.suffix}"
            )
        shown = [side * scale // 2 * 2 for side in self._size]
        if min(shown) < SMALLEST_SIDE_PX:
            raise ValueError(
                f"frames of {width}x{height} px are too small for a video; use a larger scale "
                f"than {scale}"
            )
        self._container = av.open(str(self.path), "w", options=container_options(self.path.suffix))
        try:
            self._container.metadata.update(metadata or {})
            self._stream = self._begin(codec.encoder, codec.tag, *shown)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, frames: Frame) -> None:
        """Append px frames `[T, H, W, 3]`: uint8 or 16 bit integers, or floats in 0..1.

        Raises ValueError when their size is another, OSError when the file cannot be written.
        """
        if tuple(frames.shape[1:3]) != self._size:
            raise ValueError(
                f"frame {self.px_frames} is {_px(frames.shape[1:])} px, the first was "
                f"{_px(self._size)} px; a video has one size"
            )
        for pixels in as_pixels(frames, self.deep):
            self._mux(self._picture(pixels))
            self.px_frames += 1

    @property
    def deep(self) -> bool:
        """Whether the file holds more than 8 bits a channel."""
        return is_deep(self.settings.pixel_format)

    def close(self) -> None:
        """End the file; closing twice is harmless. Raises OSError when it cannot be written."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            if self.px_frames and not self._broken:
                container.mux(self._stream.encode())
            container.close()
        except av.FFmpegError as error:
            raise self._unwritable(error) from error
        finally:
            container.close()
            if not self.px_frames:
                self.path.unlink(missing_ok=True)

    def _mux(self, picture: av.VideoFrame) -> None:
        """Raises OSError; FFmpeg must not be given more after that, it may crash."""
        if self._broken:
            raise OSError(f"{self.path} can no longer be written")
        try:
            self._container.mux(self._stream.encode(picture))
        except av.FFmpegError as error:
            self._broken = True
            raise self._unwritable(error) from error

    def _unwritable(self, error: av.FFmpegError) -> OSError:
        return OSError(f"{self.path} cannot be written: {error.strerror}")

    def _begin(self, encoder: str, tag: str | None, height: int, width: int) -> av.VideoStream:
        rate = Fraction(self.settings.fps).limit_denominator(1001)
        stream = self._container.add_stream(
            encoder, rate=rate, options=encoder_options(self.settings)
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = self.settings.pixel_format
        context = stream.codec_context
        context.thread_type = "SLICE"  # whole frames in flight would be frames held back
        context.colorspace, context.color_range = _BT601, _LIMITED
        context.color_primaries = context.color_trc = _BT709  # those of sRGB
        if tag is not None:
            context.codec_tag = tag
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise ValueError(
                f"{self.settings.codec} cannot hold frames of {width}x{height} px here ({error}); "
                "choose another codec or size"
            ) from error
        return stream

    def _picture(self, pixels: np.ndarray) -> av.VideoFrame:
        if self._scale > 1:
            pixels = pixels.repeat(self._scale, axis=0).repeat(self._scale, axis=1)
        cut = np.ascontiguousarray(pixels[: self._stream.height, : self._stream.width])
        picture = av.VideoFrame.from_ndarray(cut, format="rgb48le" if self.deep else "rgb24")
        picture = picture.reformat(format=self._stream.pix_fmt, dst_colorspace="ITU601")
        picture.colorspace, picture.color_range = _BT601, _LIMITED
        return picture


class VideoWriter:
    """A `VideoFile` on a thread of its own, so that encoding runs beside what makes the frames.

    A context manager; `write` waits while `WAITING` pieces wait. What goes wrong in the thread is
    raised by the next `write` or by `close`. However the block is left, all that was written is in
    the file and the thread has ended.
    """

    def __init__(self, file: VideoFile) -> None:
        self._file = file
        self._pieces: queue.Queue[Tensor | None] = queue.Queue(WAITING)
        self._error: Exception | None = None
        self._told = False
        self._thread = threading.Thread(target=self._run, name="causvid-writer", daemon=True)
        self._thread.start()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except OSError as second:
            if error is None:
                raise
            log.warning("%s", second)  # the first error is the one to tell

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._file.path

    @property
    def px_frames(self) -> int:
        """How many are in the file; after `close`, all that were written."""
        return self._file.px_frames

    def write(self, frames: Tensor) -> None:
        """Hand over px frames `[T, H, W, 3]`, floats in 0..1 on any device; waits for the device.

        Raises OSError when the file cannot be written, ValueError when the frames do not fit.
        """
        self._raise()
        self._pieces.put(as_levels(frames, self._file.deep).cpu())

    def close(self) -> None:
        """Wait until all is written and end the file; closing twice is harmless."""
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()
        self._raise()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._error is None:  # after an error the rest is only taken in
                self._try(lambda frames=piece: self._file.add(frames))
        self._try(self._file.close)

    def _try(self, work: object) -> None:
        try:
            work()
        except Exception as error:  # raised in the caller's thread
            self._error = self._error or error

    def _raise(self) -> None:
        if self._error is not None and not self._told:
            self._told = True
            raise self._error


def as_levels(frames: Tensor, deep: bool = False) -> Tensor:
    """Floats in 0..1 as whole levels, in place of which integers are returned as they are.

    uint8, or int32 from 0 to 65535 where `deep`.
    """
    if not frames.is_floating_point():
        return frames
    most, dtype = (65535, torch.int32) if deep else (255, torch.uint8)
    return (frames.detach().float() * most).round().clamp(0, most).to(dtype)


def as_pixels(frames: Frame, deep: bool = False) -> np.ndarray:
    """A frame `[H, W, 3]`, or many, as uint8, or as uint16 where `deep`.

    Raises ValueError for any other shape.
    """
    values = frames.detach() if isinstance(frames, Tensor) else torch.from_numpy(frames)
    if values.ndim not in (3, 4) or values.shape[-1] != 3:
        raise ValueError(f"a frame has shape {tuple(values.shape)}; expected (height, width, 3)")
    levels = as_levels(values, deep).cpu().numpy()
    if deep and levels.dtype == np.uint8:
        return levels.astype(np.uint16) * 257
    return np.ascontiguousarray(levels.astype(np.uint16 if deep else np.uint8, copy=False))


def _px(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"
