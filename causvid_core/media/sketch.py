"""A decoder small enough to run next to a small model: sketches for the live view.

Three convolutions at the size of the latents; the last one draws the px of each latent pixel, in
all four px frames at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn

from .decoding import Past, StreamDecoder, digest
from .vae import SPACE_SCALE, TIME_SCALE, Z_DIM


class SketchNet(nn.Module):
    """The network; `width` is that of its hidden layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        drawn = 3 * TIME_SCALE * SPACE_SCALE**2
        self.layers = nn.Sequential(
            nn.Conv2d(2 * Z_DIM, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, drawn, 1),
            nn.PixelShuffle(SPACE_SCALE),
        )
        nn.init.constant_(self.layers[4].get_parameter("bias"), 0.5)

    @classmethod
    def from_state_dict(cls, weights: Mapping[str, Tensor]) -> SketchNet:
        """The network of these weights, in float32, ready to run."""
        net = cls(weights["layers.0.weight"].shape[0])
        net.load_state_dict({name: weight.float() for name, weight in weights.items()})
        return net.eval().requires_grad_(False)

    def forward(self, latents: Tensor, before: Tensor) -> Tensor:
        """Latent frames [B, 16, h, w] and the previous ones, zeros at the start of a video, to px
        frames [B, 3, 4, 8 h, 8 w]. At the start only the last of the four counts.
        """
        drawn: Tensor = self.layers(torch.cat([latents, before], dim=1))
        return rearrange(drawn, "b (c t) h w -> b c t h w", t=TIME_SCALE)


class SketchDecoder(StreamDecoder):
    """Sketches of the px frames of one VAE's latents, on the device of the network."""

    reach = 1

    def __init__(self, net: SketchNet) -> None:
        super().__init__()
        self._net = net
        self.name = f"sketch {digest(net.parameters())}"

    def step(self, frames: Tensor, past: Past) -> tuple[Tensor, Past]:
        weight = self._net.layers[0].get_parameter("weight")
        latents = frames[:, :, 0].to(weight.device, torch.float32)
        before = past[0].to(weight.device) if past else torch.zeros_like(latents)
        px = self._net(latents, before).clamp(0, 1)
        return (px if past else px[:, :, -1:]), (latents,)
