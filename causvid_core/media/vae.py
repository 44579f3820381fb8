"""Wan 2.1's causal video VAE, for whole clips and as a stream.

Parameter names and shapes are Wan's, for any width. A latent pixel stands for 8x8 px, a latent
frame for 4 px frames, the very first one for 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .decoding import Past
from .vae_layers import (
    AttentionBlock,
    CausalConv3d,
    Downsample,
    FeatureCache,
    ResidualBlock,
    RMSNorm,
    Upsample,
    run,
)

Z_DIM = 16
TIME_SCALE, SPACE_SCALE = 4, 8  # px frames per latent frame, px per latent pixel
DIM_MULT = (1, 2, 4, 4)
RES_BLOCKS = 2
DOWN_IN_TIME = (False, True, True)

# Mean and standard deviation of each latent channel, by which Wan 2.1 normalises its latents before
# the transformer sees them.
_STATISTICS = (
    (-0.7571, 2.8184),
    (-0.7089, 1.4541),
    (-0.9113, 2.3275),
    (0.1075, 2.6558),
    (-0.1745, 1.2196),
    (0.9653, 1.7708),
    (-0.1517, 2.6052),
    (1.5508, 2.0743),
    (0.4134, 3.2687),
    (-0.0715, 2.1526),
    (0.5517, 2.8652),
    (-0.3632, 1.5579),
    (-0.1922, 1.6382),
    (-0.9497, 1.1253),
    (0.2503, 2.8251),
    (-0.2921, 1.916),
)
LATENT_MEAN, LATENT_STD = zip(*_STATISTICS, strict=True)


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

    def forward(self, x: Tensor, cache: FeatureCache | None = None) -> Tensor:
        return run((self.conv1, *self.downsamples, *self.middle, *self.head), x, cache)


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

    def forward(self, x: Tensor, cache: FeatureCache | None = None) -> Tensor:
        return run((self.conv1, *self.middle, *self.upsamples, *self.head), x, cache)


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
        """A VAE of the width of the weights, in float32 on the CPU, ready to run.

        Raises ValueError when they are not those of a Wan 2.1 VAE.
        """
        vae = cls.sharing({name: weight.float().clone() for name, weight in state_dict.items()})
        channels_last(vae)
        return vae.requires_grad_(False)

    @classmethod
    def sharing(cls, weights: Mapping[str, Tensor]) -> WanVAE:
        """A VAE that runs on these very parameters, in their dtype and on their device.

        Nothing is copied. Raises ValueError when they are not those of a Wan 2.1 VAE.
        """
        gamma = weights.get("decoder.head.0.gamma")
        if gamma is None:
            raise ValueError("This is not a Wan 2.1 VAE: it has no decoder.head.0.gamma.")
        with torch.device("meta"):
            vae = cls(gamma.shape[0])
        try:
            vae.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[1].strip().rstrip(".")[:120]
            raise ValueError(f"This is not a Wan 2.1 VAE: {reason}.") from None
        for module in vae.modules():
            if isinstance(module, CausalConv3d) and module.kernel_size[0] > 1:
                module.spatial = not bool(module.weight[:, :, :-1].any())
        return vae.eval()

    @property
    def dtype(self) -> torch.dtype:
        """The dtype it computes in; px and latents are float32 on either side."""
        return self.conv1.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where it computes, and where its results are."""
        return self.conv1.weight.device

    def encode(self, px: Tensor) -> Tensor:
        """Px frames [B, 3, 1 + 4 n, H, W] in 0..1 to normalised latents [B, 16, 1 + n, h, w]."""
        return self._encode(px, None)

    def decode(self, latents: Tensor, *, clamped: bool = True) -> Tensor:
        """Normalised latents `[B, 16, T, h, w]` to px frames in 0..1, the inverse of `encode`.

        clamped=False leaves out the clamp, which stops gradients; values may then leave 0..1.
        """
        px = self._decode(latents, None)
        return px.clamp(0, 1) if clamped else px

    def encode_after(self, px: Tensor, past: Past) -> tuple[Tensor, Past]:
        """`encode` of the px frames that follow, `4 n` of them unless `past` is empty.

        Also returns the past of the next ones; `past` is not changed.
        """
        cache = FeatureCache(past)
        return self._encode(px, cache), tuple(cache.kept)

    def decode_after(self, latents: Tensor, past: Past) -> tuple[Tensor, Past]:
        """`decode` of the latents that follow, and the past of the next ones."""
        cache = FeatureCache(past)
        return self._decode(latents, cache).clamp(0, 1), tuple(cache.kept)

    def _encode(self, px: Tensor, cache: FeatureCache | None) -> Tensor:
        px = (px.float() * 2 - 1).to(self.dtype, memory_format=torch.channels_last_3d)
        mean: Tensor = self.conv1(self.encoder(px, cache)).chunk(2, dim=1)[0].float()
        return (mean - _channels(LATENT_MEAN, mean)) / _channels(LATENT_STD, mean)

    def _decode(self, latents: Tensor, cache: FeatureCache | None) -> Tensor:
        raw = latents.float()
        raw = raw * _channels(LATENT_STD, raw) + _channels(LATENT_MEAN, raw)
        raw = raw.to(self.dtype, memory_format=torch.channels_last_3d)
        px: Tensor = self.decoder(self.conv2(raw), cache).float()
        return px / 2 + 0.5


def channels_last(vae: nn.Module) -> None:
    """Lay out the weights of convolutions so that CPUs are up to twice as fast. Mutates `vae`."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in vae.parameters():
        if parameter.dim() in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.dim()])


def _middle(dim: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(dim, dim), AttentionBlock(dim), ResidualBlock(dim, dim))


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1, 1)
