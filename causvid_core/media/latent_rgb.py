"""Latents as rough colours, when there is no decoder: a linear map of their channels.

ComfyUI draws its previews like this; the factors for Wan 2.1 are those that it uses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .decoding import Past, StreamDecoder, digest
from .vae import SPACE_SCALE, TIME_SCALE

WAN21_FACTORS = (
    (-0.1299, -0.1692, 0.2932),
    (0.0671, 0.0406, 0.0442),
    (0.3568, 0.2548, 0.1747),
    (0.0372, 0.2344, 0.1420),
    (0.0313, 0.0189, -0.0328),
    (0.0296, -0.0956, -0.0665),
    (-0.3477, -0.4059, -0.2925),
    (0.0166, 0.1902, 0.1975),
    (-0.0412, 0.0267, -0.1364),
    (-0.1293, 0.0740, 0.1636),
    (0.0680, 0.3019, 0.1128),
    (0.0032, 0.0581, 0.0639),
    (-0.1251, 0.0927, 0.1699),
    (0.0060, -0.0633, 0.0005),
    (0.3477, 0.2275, 0.2950),
    (0.1984, 0.0913, 0.1861),
)
WAN21_BIAS = (-0.1835, -0.0868, -0.3360)


class ColourDecoder(StreamDecoder):
    """Every latent frame as one picture, blended from one to the next over its px frames.

    factors `[C][3]` and bias `[3]` map a latent pixel to colours in -1..1. scale: px per latent
    pixel; with 1 the pictures are as small as the latents.
    """

    reach = 1

    def __init__(
        self,
        factors: Sequence[Sequence[float]] = WAN21_FACTORS,
        bias: Sequence[float] | None = WAN21_BIAS,
        scale: int = SPACE_SCALE,
    ) -> None:
        super().__init__()
        self._scale = scale
        self._factors = torch.tensor(factors)
        self.name = f"colours {digest([self._factors])} {scale}"
        self._bias = torch.tensor(bias or (0.0, 0.0, 0.0)).view(3, 1, 1)

    def step(self, frames: Tensor, past: Past) -> tuple[Tensor, Past]:
        factors, bias = self._factors.to(frames.device), self._bias.to(frames.device)
        colours = torch.einsum("bchw,cr->brhw", frames[:, :, 0].float(), factors) + bias
        colours = (colours / 2 + 0.5).clamp(0, 1)
        if self._scale > 1:
            colours = F.interpolate(colours, scale_factor=self._scale, mode="bilinear")
        colours = colours.unsqueeze(2)
        if not past:
            return colours, (colours,)
        shares = torch.arange(1, TIME_SCALE + 1, device=frames.device) / TIME_SCALE
        blended = torch.lerp(past[0].to(frames.device), colours, shares.view(-1, 1, 1))
        return blended, (colours,)
