"""Layers of Wan 2.1's video VAE, under Wan's parameter names.

Every temporal convolution only looks back, so a stream that caches the last inputs of each gives
the same frames as the whole clip at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .decoding import Past


class FeatureCache:
    """The feature cache during one piece of a stream.

    Hands every temporal convolution what it cached of the previous piece, in the order in which
    they are called, and collects what they cache of this one in `kept`. `past` is not changed.
    """

    def __init__(self, past: Past = ()) -> None:
        self.first = not past
        self.kept: list[Tensor] = []
        self._past = iter(past)

    def take(self) -> Tensor | None:
        """The frames before this piece; None in the first one."""
        if self.first:
            return None
        # The layout decides which kernel runs; a cache that was in a file has lost it.
        return next(self._past).contiguous(memory_format=torch.channels_last_3d)

    def keep(self, frames: Tensor) -> None:
        """Cache frames for the next piece."""
        self.kept.append(frames.clone(memory_format=torch.channels_last_3d))


class CausalConv3d(nn.Conv3d):
    """A convolution that pads time on the left only.

    spatial: all temporal taps but the last are zero, so it can be computed frame by frame, at a
    third of the cost.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel: int) -> None:
        super().__init__(in_dim, out_dim, kernel)
        self.spatial = kernel == 1

    def forward(self, x: Tensor, cache: FeatureCache | None = None) -> Tensor:
        """`[B, C, T, H, W]`; with a cache, after the two frames before."""
        pad = self.kernel_size[1] // 2
        if self.spatial:
            return _per_frame(x, lambda y: F.conv2d(y, self.weight[:, :, -1], self.bias, 1, pad))
        x = _with_past(x, cache)
        return F.conv3d(x, self.weight, self.bias, 1, (0, pad, pad))


class TimeConv(nn.Conv3d):
    """Three taps in time, one in space: what changes the frame rate, in both directions."""

    def __init__(self, in_dim: int, out_dim: int, stride: int) -> None:
        super().__init__(in_dim, out_dim, (3, 1, 1), stride=(stride, 1, 1))


class RMSNorm(nn.Module):
    """Unit length over the channels, times `sqrt(C)`."""

    def __init__(self, dim: int, axes: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim, *(1,) * axes))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.float().square().sum(1, keepdim=True).clamp(min=1e-24))
        gain: Tensor = self.gamma * self.gamma.shape[0] ** 0.5
        return x * scale.to(x.dtype) * gain.to(x.dtype)


class ResidualBlock(nn.Module):
    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            RMSNorm(in_dim, 3),
            nn.SiLU(),
            CausalConv3d(in_dim, out_dim, 3),
            RMSNorm(out_dim, 3),
            nn.SiLU(),
            nn.Dropout(0.0),
            CausalConv3d(out_dim, out_dim, 3),
        )
        self.shortcut = CausalConv3d(in_dim, out_dim, 1) if in_dim != out_dim else nn.Identity()

    def forward(self, x: Tensor, cache: FeatureCache | None = None) -> Tensor:
        shortcut: Tensor = self.shortcut(x)
        return shortcut + run(self.residual, x, cache)


class AttentionBlock(nn.Module):
    """Single-head attention within each frame."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = RMSNorm(dim, 2)
        self.to_qkv = nn.Conv2d(dim, 3 * dim, 1)
        self.proj = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor, cache: FeatureCache | None = None) -> Tensor:
        return x + _per_frame(x, self._attend)

    def _attend(self, x: Tensor) -> Tensor:
        qkv = self.to_qkv(self.norm(x))
        q, k, v = rearrange(qkv, "bt (qkv c) h w -> qkv bt 1 (h w) c", qkv=3)
        out = F.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.proj(rearrange(out, "bt 1 (h w) c -> bt c h w", h=x.shape[2]))
        return mixed


class Downsample(nn.Module):
    """Halves height and width, and with `time` the frame rate of all but the very first frame."""

    def __init__(self, dim: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(dim, dim, 3, stride=2))
        if time:
            self.time_conv = TimeConv(dim, dim, stride=2)

    def forward(self, x: Tensor, cache: FeatureCache | None = None) -> Tensor:
        x = _per_frame(x, self.resample)
        if not hasattr(self, "time_conv"):
            return x
        past = cache.take() if cache is not None else None
        if cache is not None:
            cache.keep(x[:, :, -1:])
        if past is None:
            return x if x.shape[2] == 1 else torch.cat([x[:, :, :1], self.time_conv(x)], dim=2)
        halved: Tensor = self.time_conv(torch.cat([past, x], dim=2))
        return halved


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

    def forward(self, x: Tensor, cache: FeatureCache | None = None) -> Tensor:
        if hasattr(self, "time_conv"):
            x = self._double(x, cache)
        return _per_frame(x, self.resample)

    def _double(self, x: Tensor, cache: FeatureCache | None) -> Tensor:
        """The first frame of a stream stays single, and no later one looks back at it."""
        single = 1 if cache is None or cache.first else 0
        first, rest = x[:, :, :single], x[:, :, single:]
        seen = _with_past(rest, cache)
        if rest.shape[2] == 0:
            return first
        doubled = rearrange(self.time_conv(seen), "b (two c) t h w -> b c (t two) h w", two=2)
        return torch.cat([first, doubled], dim=2)


def run(layers: Iterable[nn.Module], x: Tensor, cache: FeatureCache | None) -> Tensor:
    """`x` through the layers, in order, with the cache for those that look back."""
    caching = (CausalConv3d, ResidualBlock, AttentionBlock, Downsample, Upsample)
    for layer in layers:
        x = layer(x, cache) if isinstance(layer, caching) else layer(x)
    return x


def _per_frame(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of `[B T, C, H, W]` to `[B, C, T, H, W]`."""
    y = function(rearrange(x, "b c t h w -> (b t) c h w"))
    return rearrange(y, "(b t) c h w -> b c t h w", t=x.shape[2])


def _with_past(x: Tensor, cache: FeatureCache | None) -> Tensor:
    """x after the two frames before it, zeros where there are none."""
    past = cache.take() if cache is not None else None
    x = F.pad(x, (0, 0, 0, 0, 2, 0)) if past is None else torch.cat([past, x], dim=2)
    if cache is not None:
        cache.keep(x[:, :, -2:])
    return x
