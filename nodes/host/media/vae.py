"""The host's VAE as the core's, which works as a stream: the only place that knows its object."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....causvid_core.media import SPACE_SCALE, Z_DIM, WanDecoder, WanEncoder, WanVAE, as_clip
from ..loading.sampling import computing_on
from ..messages import message

VALUES_KEPT_PER_PX = 2400
"""Values that a decoder of the published width keeps per px of a frame, as measured."""


class StreamVAE:
    """A Wan 2.1 VAE of the host; the core's code runs on the host's own weights.

    Raises ValueError when the VAE is another one.
    """

    def __init__(self, vae: Any) -> None:
        tree = getattr(vae, "first_stage_model", None)
        if tree is None or not hasattr(vae, "patcher"):
            raise ValueError(message("vae.no_model", kind=type(vae).__name__))
        self._vae, self._tree = vae, tree
        kind = f"{type(tree).__module__.split('.')[-1]}.{type(tree).__name__}"
        try:
            WanVAE.sharing(dict(tree.named_parameters()))
        except ValueError as error:
            raise ValueError(message("vae.not_wan", kind=kind)) from error

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._vae.device

    @property
    def patcher(self) -> ModelPatcher:
        """What the host loads and offloads."""
        return self._vae.patcher

    @property
    def name(self) -> str:
        """Tells its weights from another's."""
        weight = self._tree.encoder.conv1.weight.detach().flatten()[:64]
        return hashlib.sha256(weight.to("cpu", torch.float32).numpy().tobytes()).hexdigest()[:16]

    def encoding_bytes(self, height: int, width: int) -> int:
        """Memory that it needs to encode frames of that many px."""
        return int(self._vae.memory_used_encode((1, 3, 5, height, width), self._vae.vae_dtype))

    def decoding_bytes(self, height: int, width: int, batch: int = 1) -> int:
        """Memory that it needs to decode them as a stream, a latent frame at a time."""
        shape = (batch, Z_DIM, 1, height // SPACE_SCALE, width // SPACE_SCALE)
        needed = self._vae.memory_used_decode(shape, self._vae.vae_dtype)
        kept = VALUES_KEPT_PER_PX * batch * height * width * self._vae.vae_dtype.itemsize
        return int(needed) + kept

    @contextmanager
    def loaded(self, needed_bytes: int) -> Iterator[WanVAE]:
        """Its weights on the device, and so much free memory, outside a rollout.

        A plain `with`, never around a rollout: there `placed` makes room and `on_weights` follows.
        """
        management.load_models_gpu([self.patcher], memory_required=needed_bytes)
        with computing_on(self.device):
            yield self.on_weights()

    def on_weights(self) -> WanVAE:
        """The core's VAE on the host's parameters as they lie now, in the dtype of the host's.

        What the host keeps elsewhere, as it may when memory is short, is copied to the device.
        """
        dtype = self._vae.vae_dtype
        return WanVAE.sharing(
            {
                name: p if (p.device, p.dtype) == (self.device, dtype) else p.to(self.device, dtype)
                for name, p in self._tree.named_parameters()
            }
        )

    def encode(self, px: Tensor) -> Tensor:
        """Px frames `[T, H, W, 3]` in 0..1 to normalised latents `[1, 16, t, h, w]` on the CPU.

        Frames after the last whole latent frame are filled up with the last one.
        """
        with self.loaded(self.encoding_bytes(*px.shape[1:3])) as vae:
            encoder = WanEncoder(vae)
            encoder.push(as_clip(px))
            return encoder.flush().cpu().clone()

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents `[1, 16, t, h, w]` to px frames `[T, H, W, 3]` on the CPU."""
        height, width = (SPACE_SCALE * side for side in latents.shape[3:])
        with self.loaded(self.decoding_bytes(height, width)) as vae:
            px = WanDecoder(vae).decode(latents)
            return px[0].permute(1, 2, 3, 0).cpu().clone()
