"""Footage that is connected to a node: a VIDEO, IMAGE or LATENT, read while it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from comfy_api.latest import Input
from torch import Tensor

from ....causvid_core.media import (
    Footage,
    as_rgb,
    describe_footage,
    footage_file,
    nearest_frames,
    video_rate,
)
from ....causvid_core.stream.geometry import FPS, SPACE_SCALE
from ..messages import message
from ..stream.request import StreamRequest


class FootageSockets(NamedTuple):
    """What is connected to the sockets of `footage_inputs`."""

    video: Any = None
    images: Tensor | None = None
    latents: dict[str, Tensor] | None = None

    @classmethod
    def taken_from(cls, widgets: dict[str, Any]) -> FootageSockets:
        """The sockets among a node's inputs, which are removed from `widgets`."""
        return cls(*(widgets.pop(name, None) for name in cls._fields))

    @property
    def connected(self) -> list[str]:
        """Names of the sockets that something is connected to."""
        return [name for name, value in self._asdict().items() if value is not None]

    def require_one(self) -> FootageSockets:
        """These sockets. Raises ValueError unless exactly one of them is connected."""
        found, sockets = self.connected, ", ".join(self._fields)
        if not found:
            raise ValueError(message("footage.none", sockets=sockets))
        if len(found) > 1:
            raise ValueError(message("footage.several", sockets=sockets, found=" + ".join(found)))
        return self


def own_rate(video: Any) -> float:
    """Frames per second of a VIDEO; 16 for None."""
    if video is None:
        return FPS
    if _in_memory(video):
        return float(video.get_components().frame_rate)
    return video_rate(video.get_stream_source())


def footage(video: Any = None, images: Tensor | None = None, fps: float = FPS) -> Footage:
    """The footage of a VIDEO or of an IMAGE batch, which is taken to have 16 frames a second.

    fps: at how many px frames per second a VIDEO is read. A video file is never held whole. Raises
    ValueError when there is nothing to see.
    """
    if images is not None:
        text = message("footage.images", count=len(images))
        return _from_images(images, range(len(images)), text)
    if _in_memory(video):
        parts = video.get_components()
        images, own = parts.images, float(parts.frame_rate)
        chosen = nearest_frames([n / own for n in range(len(images))], fps)
        return _from_images(images, chosen, describe_footage(len(images), own, len(chosen), fps))
    trim = getattr(video, "get_active_trim_window", lambda: (0.0, 0.0))()
    return footage_file(video.get_stream_source(), fps, *trim)


def given_latents(request: StreamRequest, latent: dict[str, Tensor]) -> Tensor:
    """A LATENT `[B, 16, T, h, w]` in the scale of the MODEL.

    Raises ValueError when it has another size than the stream.
    """
    samples, state, model = latent["samples"], request.state, request.model.model
    channels, size = model.latent_format.latent_channels, (state.height, state.width)
    if samples.ndim == 4 or (samples.ndim == 5 and samples.shape[1] != channels):
        raise ValueError(message("latent.other_kind", found=samples.shape[1], channels=channels))
    if samples.ndim != 5 or samples.shape[1] != channels or samples.shape[3:] != size:
        raise ValueError(
            message(
                "latent.other_shape",
                shape=tuple(samples.shape),
                size=f"{size[1] * SPACE_SCALE}x{size[0] * SPACE_SCALE}",
                wanted=f"(batch, {channels}, latent frames, {size[0]}, {size[1]})",
            )
        )
    if samples.shape[0] not in (1, state.batch):
        raise ValueError(message("latent.other_batch", found=samples.shape[0], videos=state.batch))
    return model.process_latent_in(samples)


def _in_memory(video: Any) -> bool:
    """Whether a VIDEO was made of images and has no file."""
    return bool(type(video).get_stream_source is Input.Video.get_stream_source)


def _from_images(images: Tensor, chosen: Any, text: str) -> Footage:
    as_rgb(images[:1])  # raises for a shape that shows nothing

    def read(skip: int) -> Iterator[Tensor]:
        return (as_rgb(images[index : index + 1])[0] for index in chosen[skip:])

    return Footage(len(chosen), text, lambda: _contents(images), read)


def _contents(images: Tensor) -> str:
    """Tells a batch from every other; each px counts."""
    digest = hashlib.sha256(f"{tuple(images.shape)} {images.dtype}".encode())
    for image in images:
        digest.update(image.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
