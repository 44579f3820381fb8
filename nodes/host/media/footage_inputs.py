"""The inputs of nodes that take footage in, and what is done with it on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import comfy.model_management as management
import torch
from comfy_api.latest import io
from torch import Tensor

from ....causvid_core.media import encoding as source
from ....causvid_core.media.fitting import FITS
from ....causvid_core.media.wan_stream import WanEncoder
from ....causvid_core.stream import geometry
from ....causvid_core.stream.state import StreamState
from .vae import StreamVAE
from .video_input import Footage, footage

SOCKETS = ("video", "images", "latents")


def footage_inputs(what: str) -> list[Any]:
    """The sockets VIDEO, IMAGE and LATENT, of which one is connected."""
    return [
        io.Video.Input(
            "video",
            optional=True,
            tooltip=(f"{what}, from Load Video. Any frame rate and size; read while it is needed."),
        ),
        io.Image.Input(
            "images",
            optional=True,
            tooltip=(f"{what}, as a batch of images at 16 frames per second; instead of video."),
        ),
        io.Latent.Input(
            "latents",
            optional=True,
            tooltip=(
                f"{what}, as a Wan latent, such as that of another CausVid node; instead of video."
            ),
        ),
    ]


def fit_input() -> Any:
    """`fit`, for pictures of another size."""
    return io.Combo.Input(
        "fit",
        options=list(FITS),
        default=FITS[0],
        tooltip=(
            "What happens to pictures of another shape. crop: fills the frame and cuts off what stands "
            "out. pad: shows everything between black bars. stretch: changes the proportions."
        ),
    )


def one_of(video: Any, images: Tensor | None, latents: Any) -> None:
    """Raises ValueError unless exactly one of the sockets of `footage_inputs` is connected."""
    given = [n for n, v in zip(SOCKETS, (video, images, latents), strict=True) if v is not None]
    if len(given) != 1:
        found = f"{' and '.join(given)} are" if given else "none of them is"
        raise ValueError(f"Connect one of {', '.join(SOCKETS)}; now {found} connected.")


def taken_in(video: Any, images: Tensor | None, vae: Any) -> tuple[Footage, StreamVAE]:
    """The footage and the VAE that encodes it. Raises ValueError when the VAE is missing."""
    if vae is None:
        raise ValueError("Connect a VAE: video and images are encoded with it.")
    return footage(video, images), StreamVAE(vae)


def given_latents(model: Any, latent: dict[str, Tensor], state: StreamState) -> Tensor:
    """A LATENT `[B, 16, T, h, w]` in the scale of the MODEL.

    Raises ValueError when it has another size than the stream.
    """
    samples = latent["samples"]
    channels, size = model.model.latent_format.latent_channels, (state.height, state.width)
    if samples.ndim != 5 or samples.shape[1] != channels or samples.shape[3:] != size:
        scale = geometry.SPACE_SCALE
        raise ValueError(
            f"The LATENT has shape {tuple(samples.shape)}; a video of {size[1] * scale}x"
            f"{size[0] * scale} px has (batch, {channels}, latent frames, {size[0]}, {size[1]}). "
            "Set width and height to its size, or connect images instead."
        )
    if samples.shape[0] not in (1, state.batch):
        raise ValueError(
            f"The LATENT holds {samples.shape[0]} videos, the stream makes {state.batch}; give "
            f"one, or {state.batch}."
        )
    return model.model.process_latent_in(samples)


def encoded_blocks(
    vae: StreamVAE,
    frames: Iterable[Tensor],
    state: StreamState,
    hold: bool,
    on_frames: Callable[[Tensor], None],
) -> Iterator[Tensor]:
    """The core's `encoded_blocks` with a VAE of the host."""

    def seen(px: Tensor) -> None:
        # At strength 0 nothing else would listen to Cancel.
        management.throw_exception_if_processing_interrupted()
        on_frames(px)

    return source.encoded_blocks(lambda: WanEncoder(vae.on_weights()), frames, state, hold, seen)


def held(latents: Tensor, frames: int) -> Tensor:
    """Latents `[B, 16, T, h, w]` cut to `frames` latent frames, or filled up with the last one."""
    last = latents[:, :, -1:].expand(-1, -1, max(0, frames - latents.shape[2]), -1, -1)
    return torch.cat([latents[:, :, :frames], last], dim=2)
