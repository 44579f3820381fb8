"""Wan 2.1's VAE as a stream, in both directions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .decoding import Past, StreamCodec, StreamDecoder, digest
from .vae import TIME_SCALE, WanVAE
from .vae_layers import CausalConv3d, Upsample


class WanDecoder(StreamDecoder):
    """Decodes one latent frame at a time; joined, the px frames of `vae.decode` of the whole."""

    def __init__(self, vae: WanVAE) -> None:
        super().__init__()
        self.vae = vae
        small = [p for p in vae.decoder.parameters() if max(p.shape) == p.numel()]
        self.name = f"wan {digest(small)}"
        self.reach = _reach(vae)

    def step(self, frames: Tensor, past: Past) -> tuple[Tensor, Past]:
        return self.vae.decode_after(frames.to(self.vae.device), _on(self.vae.device, past))


class WanEncoder(StreamCodec):
    """Px frames [B, 3, T, H, W] in 0..1 to normalised latents [B, 16, t, h, w] in float32.

    The very first px frame is a latent frame, then every four; fewer wait until they are four,
    or until `flush` repeats the last one.
    """

    def __init__(self, vae: WanVAE) -> None:
        super().__init__()
        self.vae = vae

    def piece(self, past: Past) -> int:
        return TIME_SCALE if past else 1

    def step(self, frames: Tensor, past: Past) -> tuple[Tensor, Past]:
        return self.vae.encode_after(frames.to(self.vae.device), _on(self.vae.device, past))

    @property
    def waiting(self) -> int:
        """Px frames that are not encoded yet."""
        return len(self.memory.waiting)

    def encode(self, px: Tensor) -> Tensor | None:
        """The latents that these px frames complete, joined; None when they complete none."""
        self.push(px)
        return self.drain()

    def encode_all(self, px: Tensor) -> Tensor:
        """The same for px frames that complete a latent frame; ValueError when they do not."""
        return self._code(px, "px frames that complete a latent frame")

    def flush(self) -> Tensor | None:
        """The latents of all px frames that wait, the last one repeated to fill one."""
        ready = self.drain()
        if self.waiting:
            last = self.memory.waiting[-1]
            filled = self.encode_all(last.repeat(1, 1, TIME_SCALE - self.waiting, 1, 1))
            return filled if ready is None else torch.cat([ready, filled], dim=2)
        return ready


def _on(device: torch.device, past: Past) -> Past:
    return tuple(tensor.to(device) for tensor in past)


def _reach(vae: WanVAE) -> int:
    """Latent frames that the layers of the decoder look back at, all together."""
    seen, rate = 0.0, 1
    for layer in vae.decoder.modules():  # in the order in which they are called
        doubles = isinstance(layer, Upsample) and hasattr(layer, "time_conv")
        if doubles or (isinstance(layer, CausalConv3d) and not layer.spatial):
            seen += 2 / rate
        if doubles:
            rate *= 2
    return math.ceil(seen)
