"""Video files that are written while their frames arrive, and play up to there at any time.

Until it is closed, the file of `clip.mp4` is `clip.part.mp4`. If the program is killed, all frames
but the last are in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from ..storage.atomic import real_path
from ..storage.reserve import Reservation, reserve
from .pixels import Array, Frame, as_pixels
from .writer_codecs import (
    CODECS,
    DEFAULT,
    Codec,
    VideoSettings,
    checked_settings,
    container_options,
    encoder_options,
    is_deep,
)

SMALLEST_SIDE_PX = 16
# FFmpeg's numbers. Programs that read files with PyAV before 17, ComfyUI among them, take every
# video for BT.601, whatever the file says; players believe the file. So it is BT.601 and says so.
_BT601, _BT709, _LIMITED = 6, 1, 1


class VideoFile:
    """A video file being written: `add` frames, then `close`. A context manager.

    settings: see `VideoSettings`; the file's suffix must be the codec's. width, height: of the
    frames in px; odd sizes lose their last row or column, which most formats cannot hold. scale:
    enlarges small frames by a whole factor. metadata: texts by name, kept as the file's tags.
    path: a name, whose file is replaced when the new one is closed, or a reservation, which the
    file ends. finished: set it to False, as an error in the context does, and the file replaces no
    other: it stays under its `.part` name where there is one. A file that gets no frame is
    removed. deep: whether it holds more than 8 bits per channel. Raises ValueError for settings or
    sizes that make no file, OSError when it cannot be written.
    """

    def __init__(
        self,
        path: str | Path | Reservation,
        settings: VideoSettings = DEFAULT,
        *,
        width: int,
        height: int,
        scale: int = 1,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = checked_settings(settings)
        self.deep = is_deep(self.settings.pixel_format)
        self.px_frames, self.finished = 0, True
        self._broken = self._closed = False
        self._size, self._scale = (height, width), scale
        codec = CODECS[self.settings.codec]
        name = path.path if isinstance(path, Reservation) else real_path(path)
        if name.suffix != codec.suffix:
            raise ValueError(
                f"{name.name} cannot hold {settings.codec}; name it {name.stem}{codec.suffix}"
            )
        shown = (height * scale // 2 * 2, width * scale // 2 * 2)
        if min(shown) < SMALLEST_SIDE_PX:
            raise ValueError(
                f"frames of {width}x{height} px are too small for a video; use a larger scale "
                f"than {scale}"
            )
        self._reservation = path if isinstance(path, Reservation) else reserve(path, replace=True)
        try:
            self._container = av.open(
                str(self._reservation.partial), "w", options=container_options(codec.suffix)
            )
        except BaseException:
            self._reservation.close()
            raise
        try:
            self._container.metadata.update(metadata or {})
            self._stream = self._open_stream(codec, *shown)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.finished = self.finished and error is None
        self.close()

    @property
    def path(self) -> Path:
        """Where the frames are now: under the `.part` name until the file is closed."""
        return self._reservation.where

    def add(self, frames: Frame) -> None:
        """Append px frames `[T, H, W, 3]`: uint8 or 16 bit integers, or floats in 0..1.

        Raises ValueError when their size differs, OSError when the file cannot be written.
        """
        if tuple(frames.shape[1:3]) != self._size:
            raise ValueError(
                f"frame {self.px_frames} is {_px(frames.shape[1:])} px, the first was "
                f"{_px(self._size)} px; all frames of a video have one size"
            )
        for pixels in as_pixels(frames, self.deep):
            self._mux(self._picture(pixels))
            self.px_frames += 1

    def close(self) -> None:
        """End the file; closing twice is harmless. Raises OSError when it cannot be written."""
        if self._closed:
            return
        self._closed = True
        held = self._reservation
        try:
            if self.px_frames and not self._broken:
                self._container.mux(self._stream.encode())
            self._container.close()
            if self.px_frames and not self._broken:
                held.settle(self.finished)
        except av.FFmpegError as error:
            raise self._unwritable(error) from error
        finally:
            self._container.close()
            held.keep = self.px_frames > 0
            held.close()

    def _mux(self, picture: av.VideoFrame) -> None:
        """Raises OSError; FFmpeg must not be given more after that, because it may crash."""
        if self._broken:
            raise OSError(f"{self._reservation.path} can no longer be written")
        try:
            self._container.mux(self._stream.encode(picture))
        except av.FFmpegError as error:
            self._broken = True
            raise self._unwritable(error) from error

    def _unwritable(self, error: av.FFmpegError) -> OSError:
        return OSError(f"{self._reservation.path} cannot be written: {error.strerror}")

    def _open_stream(self, codec: Codec, height: int, width: int) -> av.VideoStream:
        stream = cast(
            av.VideoStream,
            self._container.add_stream(
                codec.encoder,
                rate=Fraction(self.settings.fps).limit_denominator(1001),
                options=encoder_options(self.settings),
            ),
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = self.settings.pixel_format
        context = stream.codec_context
        context.thread_type = "SLICE"  # threads that share out whole frames would hold frames back
        context.colorspace, context.color_range = _BT601, _LIMITED
        context.color_primaries = context.color_trc = _BT709  # those of sRGB
        if codec.tag is not None:
            context.codec_tag = codec.tag
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise ValueError(
                f"{self.settings.codec} cannot hold frames of {width}x{height} px here ({error}); "
                "choose another codec or size"
            ) from error
        return stream

    def _picture(self, pixels: Array) -> av.VideoFrame:
        if self._scale > 1:
            pixels = pixels.repeat(self._scale, axis=0).repeat(self._scale, axis=1)
        cut = np.ascontiguousarray(pixels[: self._stream.height, : self._stream.width])
        picture = av.VideoFrame.from_ndarray(cut, format="rgb48le" if self.deep else "rgb24")
        picture = picture.reformat(format=self._stream.pix_fmt, dst_colorspace="ITU601")
        picture.colorspace, picture.color_range = _BT601, _LIMITED
        return picture


def _px(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"
