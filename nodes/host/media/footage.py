"""Footage that is connected to a node: a VIDEO, IMAGE or LATENT, checked against the stream."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from ....causvid_core.stream.geometry import SPACE_SCALE
from ..messages import message
from ..stream.request import StreamRequest
from .vae import StreamVAE


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


def encoder_for(vae: Any) -> StreamVAE:
    """The VAE that encodes footage. Raises ValueError when it is missing."""
    if vae is None:
        raise ValueError(message("vae.needed"))
    return StreamVAE(vae)


def given_latents(request: StreamRequest, latent: dict[str, Tensor]) -> Tensor:
    """A LATENT `[B, 16, T, h, w]` in the scale of the MODEL.

    Raises ValueError when it has another size than the stream.
    """
    samples, state, model = latent["samples"], request.state, request.model.model
    channels, size = model.latent_format.latent_channels, (state.height, state.width)
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
