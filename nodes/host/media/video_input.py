"""VIDEO and IMAGE of the host as footage: px frames at 16 a second, read while they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from comfy_api.latest import Input
from torch import Tensor

from ....causvid_core.media import Footage, as_rgb, describe_footage, footage_file, nearest_frames
from ....causvid_core.stream.geometry import FPS
from ..messages import message


def footage(video: Any = None, images: Tensor | None = None) -> Footage:
    """The footage of a VIDEO or of an IMAGE batch, which is taken to have 16 frames a second.

    A video file is never held whole. Raises ValueError when there is nothing to see.
    """
    if images is not None:
        return _from_images(
            images, range(len(images)), message("footage.images", count=len(images))
        )
    if type(video).get_stream_source is Input.Video.get_stream_source:  # made of images in memory
        parts = video.get_components()
        images, fps = parts.images, float(parts.frame_rate)
        chosen = nearest_frames([n / fps for n in range(len(images))], FPS)
        return _from_images(images, chosen, describe_footage(len(images), fps, len(chosen), FPS))
    trim = getattr(video, "get_active_trim_window", lambda: (0.0, 0.0))()
    return footage_file(video.get_stream_source(), FPS, *trim)


def _from_images(images: Tensor, chosen: Any, text: str) -> Footage:
    images = as_rgb(images)

    def read(skip: int) -> Iterator[Tensor]:
        return (images[index] for index in chosen[skip:])

    sample = images[:: max(1, len(images) // 16), ::7, ::7].contiguous().cpu().numpy()
    name = hashlib.sha256(f"{tuple(images.shape)}".encode() + sample.tobytes()).hexdigest()
    return Footage(len(chosen), text, name, read)
