"""Wan 2.1's causal video VAE, for whole clips and as a stream.

Parameter names and shapes are Wan's, for any width: one latent frame stands for 4 px frames, the
very first for 1, and 8x8 px. Every temporal convolution looks back only, so a stream that keeps
the last two inputs of each of them gives the same frames as the whole clip at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Z_DIM = 16
DIM_MULT = (1, 2, 4, 4)
RES_BLOCKS = 2
DOWN_IN_TIME = (False, True, True)

# The statistics by which Wan 2.1 normalises its latents before the transformer sees them.
LATENT_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
LATENT_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip

Memory = dict[nn.Module, Tensor]  # what each temporal convolution saw last


class CausalConv3d(nn.Conv3d):
    """A convolution that pads time on the left only.

    `spatial` says that all but the last temporal tap are zero; it is then computed frame by frame,
    at a third of the cost.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel: int) -> None:
        super().__init__(in_dim, out_dim, kernel)
        self.spatial = kernel == 1

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        """`[B, C, T, H, W]`. Mutates memory, where given: the last two frames are kept."""
        pad = self.kernel_size[1] // 2
        if self.spatial:
            return _per_frame(x, lambda y: F.conv2d(y, self.weight[:, :, -1], self.bias, 1, pad))
        x = _with_past(self, x, memory)
        return F.conv3d(x, self.weight, self.bias, 1, (0, pad, pad))


class TimeConv(nn.Conv3d):
    """Three taps in time, one in space: the heart of both changes of the frame rate."""

    def __init__(self, in_dim: int, out_dim: int, stride: int) -> None:
        super().__init__(in_dim, out_dim, (3, 1, 1), stride=(stride, 1, 1))


class RMSNorm(nn.Module):
    """Unit length over the channels, times `sqrt(C)`."""

    def __init__(self, dim: int, axes: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim, *(1,) * axes))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.float().square().sum(1, keepdim=True).clamp(min=1e-24))
        return x * scale.to(x.dtype) * (self.gamma * self.gamma.shape[0] ** 0.5).to(x.dtype)


class ResidualBlock(nn.Module):
    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            RMSNorm(in_dim, 3), nn.SiLU(), CausalConv3d(in_dim, out_dim, 3),
            RMSNorm(out_dim, 3), nn.SiLU(), nn.Dropout(0.0), CausalConv3d(out_dim, out_dim, 3),
        )  # fmt: skip
        self.shortcut = CausalConv3d(in_dim, out_dim, 1) if in_dim != out_dim else nn.Identity()

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return self.shortcut(x) + _run(self.residual, x, memory)


class AttentionBlock(nn.Module):
    """Single-head attention within each frame."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = RMSNorm(dim, 2)
        self.to_qkv = nn.Conv2d(dim, 3 * dim, 1)
        self.proj = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return x + _per_frame(x, self._attend)

    def _attend(self, x: Tensor) -> Tensor:
        qkv = self.to_qkv(self.norm(x)).flatten(2).transpose(1, 2)  # [B T, H W, 3 C]
        out = F.scaled_dot_product_attention(*qkv.unsqueeze(1).chunk(3, dim=-1))
        return self.proj(out.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:]))


class Downsample(nn.Module):
    """Halves height and width, and with `time` the frame rate of all but the very first frame."""

    def __init__(self, dim: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(dim, dim, 3, stride=2))
        if time:
            self.time_conv = TimeConv(dim, dim, stride=2)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        x = _per_frame(x, self.resample)
        if not hasattr(self, "time_conv"):
            return x
        past = memory.get(self) if memory is not None else None
        if memory is not None:
            memory[self] = x[:, :, -1:].clone()
        if past is not None:
            return self.time_conv(torch.cat([past, x], dim=2))
        if x.shape[2] == 1:
            return x
        return torch.cat([x[:, :, :1], self.time_conv(x)], dim=2)


class Upsample(nn.Module):
    """Doubles height and width, and with `time` the frame rate of all but the very first frame."""

    def __init__(self, dim: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(
            nn.Upsample(scale_factor=2.0, mode="nearest-exact"),
            nn.Conv2d(dim, dim // 2, 3, padding=1),
        )
        if time:
            self.time_conv = TimeConv(dim, 2 * dim, stride=1)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        if hasattr(self, "time_conv"):
            x = self._double(x, memory)
        return _per_frame(x, self.resample)

    def _double(self, x: Tensor, memory: Memory | None) -> Tensor:
        """The first frame of a stream stays single, and no later one looks back at it."""
        started = memory is not None and self in memory
        if memory is not None and not started:
            memory[self] = x[:, :, :0]
        first, rest = (x[:, :, :0], x) if started else (x[:, :, :1], x[:, :, 1:])
        if rest.shape[2] == 0:
            return first
        doubled = self.time_conv(_with_past(self, rest, memory))
        doubled = doubled.unflatten(1, (2, -1)).movedim(1, 3).flatten(2, 3)
        return torch.cat([first, doubled], dim=2)


class Encoder(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        dims = [dim * m for m in (1, *DIM_MULT)]
        self.conv1 = CausalConv3d(3, dims[0], 3)
        layers: list[nn.Module] = []
        for level, (in_dim, out_dim) in enumerate(zip(dims[:-1], dims[1:], strict=True)):
            for block in range(RES_BLOCKS):
                layers.append(ResidualBlock(out_dim if block else in_dim, out_dim))
            if level < len(DIM_MULT) - 1:
                layers.append(Downsample(out_dim, DOWN_IN_TIME[level]))
        self.downsamples = nn.Sequential(*layers)
        self.middle = _middle(dims[-1])
        self.head = nn.Sequential(
            RMSNorm(dims[-1], 3), nn.SiLU(), CausalConv3d(dims[-1], 2 * Z_DIM, 3)
        )

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return _run((self.conv1, *self.downsamples, *self.middle, *self.head), x, memory)


class Decoder(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        dims = [dim * m for m in (DIM_MULT[-1], *reversed(DIM_MULT))]
        self.conv1 = CausalConv3d(Z_DIM, dims[0], 3)
        self.middle = _middle(dims[0])
        layers: list[nn.Module] = []
        for level, (in_dim, out_dim) in enumerate(zip(dims[:-1], dims[1:], strict=True)):
            in_dim = in_dim // 2 if level else in_dim
            for block in range(RES_BLOCKS + 1):
                layers.append(ResidualBlock(out_dim if block else in_dim, out_dim))
            if level < len(DIM_MULT) - 1:
                layers.append(Upsample(out_dim, DOWN_IN_TIME[::-1][level]))
        self.upsamples = nn.Sequential(*layers)
        self.head = nn.Sequential(RMSNorm(dims[-1], 3), nn.SiLU(), CausalConv3d(dims[-1], 3, 3))

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return _run((self.conv1, *self.middle, *self.upsamples, *self.head), x, memory)


class WanVAE(nn.Module):
    """Wan 2.1's VAE of any width; `dim` is 96 in the published one."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.encoder = Encoder(dim)
        self.conv1 = CausalConv3d(2 * Z_DIM, 2 * Z_DIM, 1)
        self.conv2 = CausalConv3d(Z_DIM, Z_DIM, 1)
        self.decoder = Decoder(dim)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> WanVAE:
        """A VAE of the width that the weights have, in float32, ready to run."""
        gamma = state_dict.get("decoder.head.0.gamma")
        if gamma is None:
            raise ValueError("This is not a Wan 2.1 VAE: it has no decoder.head.0.gamma.")
        vae = cls(gamma.shape[0])
        vae.load_state_dict({k: v.float() for k, v in state_dict.items()})
        for module in vae.modules():
            if isinstance(module, CausalConv3d) and module.kernel_size[0] > 1:
                module.spatial = not bool(module.weight[:, :, :-1].any())
        channels_last(vae)
        return vae.eval().requires_grad_(False)

    def encode(self, px: Tensor, memory: Memory | None = None) -> Tensor:
        """Px frames `[B, 3, 1 + 4 n, H, W]` in 0..1 to normalised latents `[B, 16, 1 + n, ...]`.

        With `memory` (mutated) the frames continue those encoded with it before: then `4 n`.
        """
        px = px.contiguous(memory_format=torch.channels_last_3d)
        mean, _ = self.conv1(self.encoder(px * 2 - 1, memory)).chunk(2, dim=1)
        return (mean - _channels(LATENT_MEAN, mean)) / _channels(LATENT_STD, mean)

    def decode(self, latents: Tensor, memory: Memory | None = None) -> Tensor:
        """Normalised latents `[B, 16, T, h, w]` to px frames in 0..1, the inverse of `encode`."""
        raw = latents * _channels(LATENT_STD, latents) + _channels(LATENT_MEAN, latents)
        raw = raw.contiguous(memory_format=torch.channels_last_3d)
        return (self.decoder(self.conv2(raw), memory) / 2 + 0.5).clamp(0, 1)


def channels_last(vae: nn.Module) -> None:
    """Lay out the weights of convolutions as CPUs like them: up to twice as fast. Mutates it."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in vae.parameters():
        if parameter.dim() in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.dim()])


class StreamDecoder:
    """Decodes a stream piece by piece: push latents, get their px frames.

    The pieces joined equal `vae.decode` of the whole; memory is constant.
    """

    def __init__(self, vae: WanVAE) -> None:
        self.vae = vae
        self.memory: Memory = {}

    @torch.inference_mode()
    def push(self, latents: Tensor) -> Tensor:
        """`[B, 16, T, h, w]` to `[B, 3, 4 T, H, W]`, 3 px frames fewer for the first piece."""
        return self.vae.decode(latents, self.memory)

    def reset(self) -> None:
        """Forget the stream: the next piece starts a new one."""
        self.memory = {}


def _middle(dim: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(dim, dim), AttentionBlock(dim), ResidualBlock(dim, dim))


def _run(layers, x: Tensor, memory: Memory | None) -> Tensor:
    remembering = (CausalConv3d, ResidualBlock, AttentionBlock, Downsample, Upsample)
    for layer in layers:
        x = layer(x, memory) if isinstance(layer, remembering) else layer(x)
    return x


def _per_frame(x: Tensor, function) -> Tensor:
    """Apply a function of `[B T, C, H, W]` to `[B, C, T, H, W]`."""
    frames = x.shape[2]
    y = function(x.transpose(1, 2).flatten(0, 1))
    return y.unflatten(0, (-1, frames)).transpose(1, 2)


def _with_past(layer: nn.Module, x: Tensor, memory: Memory | None) -> Tensor:
    """Put the two frames before x in front of it, zeros where there are none. Mutates memory."""
    past = memory.get(layer) if memory is not None else None
    if past is not None:
        x = torch.cat([past, x], dim=2)
    if memory is not None:
        memory[layer] = x[:, :, -2:].clone()
    missing = 2 - (0 if past is None else past.shape[2])
    return F.pad(x, (0, 0, 0, 0, missing, 0)) if missing else x


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1, 1)
