"""Tiny decoders in the format of TAEHV (github.com/madebyollin/taehv), as a stream.

A column of 2D convolutions, in which a memory block also sees its own input one frame back. For
Wan 2.1 there are taew2_1, which reads latents as the transformer has them, and lighttaew2_1, which
reads them in the VAE's own scale; only their names tell the files apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..model.checkpoints.read import read_stored
from .decoding import Past, StreamDecoder, digest
from .vae import LATENT_MEAN, LATENT_STD, TIME_SCALE, Z_DIM

OWN_SCALE = "lighttae"
"""In the names of files whose latents are in the VAE's own scale."""


class MemoryBlock(nn.Module):
    """Three convolutions over a frame and the one before it, with a skip connection."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(2 * in_dim, out_dim),
            nn.ReLU(),
            _conv(out_dim, out_dim),
            nn.ReLU(),
            _conv(out_dim, out_dim),
        )
        same = in_dim == out_dim
        self.skip = nn.Identity() if same else nn.Conv2d(in_dim, out_dim, 1, bias=False)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """Frames [N, C, h, w], and the frame before each of them."""
        return F.relu(self.conv(torch.cat([x, before], dim=1)) + self.skip(x))


class Grow(nn.Module):
    """`stride` frames from each."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(dim, dim * stride, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] to [N * stride, C, h, w]."""
        grown: Tensor = self.conv(x)
        return rearrange(grown, "n (s c) h w -> (n s) c h w", s=self.stride)


class SoftClamp(nn.Module):
    """Squeezes latents into -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class TinyVAE(nn.Module):
    """The decoder of a file.

    widths: channels of the stages and of the last layer. strides: frames that each stage makes of
    one.
    """

    def __init__(
        self, widths: Sequence[int] = (256, 128, 64, 64), strides: Sequence[int] = (1, 2, 2)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [SoftClamp(), _conv(Z_DIM, widths[0]), nn.ReLU()]
        for width, following, stride in zip(widths[:3], widths[1:], strides, strict=True):
            layers += [MemoryBlock(width, width) for _ in range(3)]
            layers += [nn.Upsample(scale_factor=2), Grow(width, stride)]
            layers.append(_conv(width, following, bias=False))
        self.decoder = nn.Sequential(*layers, nn.ReLU(), _conv(widths[-1], 3))

    @classmethod
    def from_state_dict(cls, weights: Mapping[str, Tensor]) -> TinyVAE:
        """The decoder that these weights belong to; they are not copied.

        Weights of an encoder among them are ignored. Raises ValueError for those of another
        architecture, or for other latents.
        """
        weights = {name: tensor for name, tensor in weights.items() if name.startswith("decoder.")}
        try:
            convs = [weights[f"decoder.{index}.weight"].shape for index in (1, 8, 14, 20, 22)]
            grown = [weights[f"decoder.{index}.conv.weight"].shape for index in (7, 13, 19)]
        except KeyError as error:
            raise ValueError(f"it has no {error.args[0]}") from None
        if any(len(shape) != 4 or not min(shape) for shape in (*convs, *grown)):
            raise ValueError("its layers are not 2D convolutions")
        channels, last = convs[0][1], convs[-1][0]
        strides = [shape[0] // shape[1] for shape in grown]
        if channels != Z_DIM or last != 3:
            raise ValueError(
                f"it decodes latents of {channels} channels to {last} values per px; Wan 2.1's "
                f"latents have {Z_DIM}, and px 3"
            )
        if math.prod(strides) != TIME_SCALE:
            raise ValueError(
                f"it makes {math.prod(strides)} px frames of a latent frame; Wan 2.1 makes "
                f"{TIME_SCALE}"
            )
        with torch.device("meta"):
            vae = cls([shape[0] for shape in convs[:4]], strides)
        try:
            vae.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise ValueError(str(error).strip().splitlines()[1].strip().rstrip(".")) from None
        return vae.eval().requires_grad_(False)

    def forward(self, latents: Tensor, past: Past) -> tuple[Tensor, Past]:
        """Latents [B, C, T, h, w] that follow `past` to px frames [B, 3, 4 T, H, W], not clamped,
        and the past of the next ones: the last input of every memory block, [B, C, h, w].
        """
        batch, kept, before = len(latents), [], iter(past)
        x = rearrange(latents, "b c t h w -> (b t) c h w")
        for layer in self.decoder:
            if not isinstance(layer, MemoryBlock):
                x = layer(x)
                continue
            frames = rearrange(x, "(b t) c h w -> b t c h w", b=batch)
            first = next(before)[:, None] if past else torch.zeros_like(frames[:, :1])
            earlier = torch.cat([first, frames[:, :-1]], dim=1).flatten(0, 1)
            kept.append(frames[:, -1].clone())
            x = layer(x, earlier)
        return rearrange(x, "(b t) c h w -> b c t h w", b=batch), tuple(kept)

    @property
    def reach(self) -> int:
        """Latent frames that the inputs kept by the memory blocks depend on."""
        back, counted = 0, False
        for layer in reversed(self.decoder):
            if isinstance(layer, MemoryBlock):
                back, counted = back + counted, True
            elif isinstance(layer, Grow):
                back //= layer.stride
        return back + 1


class TinyDecoder(StreamDecoder):
    """Decodes with a TAEHV file, in the dtype and on the device of its weights.

    own_scale: the decoder reads latents in the VAE's scale instead of the transformer's.
    """

    def __init__(self, vae: TinyVAE, own_scale: bool = False) -> None:
        super().__init__()
        self.vae, self.reach = vae, vae.reach
        weight = self._weight
        self.name = f"tiny {digest([weight])} {own_scale:d}"
        scale = [torch.ones(Z_DIM), torch.zeros(Z_DIM)]
        if own_scale:
            scale = [torch.tensor(LATENT_STD), torch.tensor(LATENT_MEAN)]
        self._scale, self._shift = (values.view(-1, 1, 1, 1).to(weight.device) for values in scale)

    @classmethod
    def from_file(
        cls, path: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> TinyDecoder:
        """A decoder from a .pth or .safetensors file; pickles are never run.

        Raises ValueError saying why the file is refused.
        """
        stored = read_stored(path).tensors
        wanted = {name: entry for name, entry in stored.items() if name.startswith("decoder.")}
        try:
            vae = TinyVAE.from_state_dict(
                {name: entry.load().to(device, dtype) for name, entry in wanted.items()}
            )
        except ValueError as error:
            raise ValueError(
                f"{path.name} is not a tiny decoder for Wan 2.1 ({error}); use taew2_1 or "
                "lighttaew2_1"
            ) from error
        return cls(vae, OWN_SCALE in path.name.lower())

    def step(self, frames: Tensor, past: Past) -> tuple[Tensor, Past]:
        weight = self._weight
        latents = frames.to(weight.device, torch.float32) * self._scale + self._shift
        before = tuple(tensor.to(weight.device, weight.dtype) for tensor in past)
        px, kept = self.vae(latents.to(weight.dtype), before)
        px = px.float().clamp(0, 1)
        return (px if past else px[:, :, -1:]), kept

    @property
    def _weight(self) -> Tensor:
        """A weight with the device and dtype of all."""
        return self.vae.decoder[-1].get_parameter("weight")


def _conv(in_dim: int, out_dim: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(in_dim, out_dim, 3, padding=1, bias=bias)
