"""Pictures of any size, fitted to another."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from .fits import FITS


def fit(images: Tensor, width: int, height: int, how: str = FITS[0]) -> Tensor:
    """`[T, H, W, C]` in 0..1 as `[T, height, width, C]`; returned as it is if it has that size.

    crop fills the frame and cuts off the rest, pad shows everything between black bars, stretch
    changes the proportions. Shrinking is antialiased. Raises ValueError for any other `how`.
    """
    if how not in FITS:
        raise ValueError(f"fit is {how!r}; choose one of {', '.join(FITS)}")
    if images.shape[1:3] == (height, width):
        return images
    images = rearrange(images, "t h w c -> t c h w").float()
    rows, columns = images.shape[2:]
    if how == "crop":
        kept = _largest(height, width, rows, columns)
        top, left = (rows - kept[0]) // 2, (columns - kept[1]) // 2
        images = images[:, :, top : top + kept[0], left : left + kept[1]]
    shown = _largest(rows, columns, height, width) if how == "pad" else (height, width)
    images = F.interpolate(images, shown, mode="bicubic", antialias=True, align_corners=False)
    top, left = (height - shown[0]) // 2, (width - shown[1]) // 2
    bars = (left, width - shown[1] - left, top, height - shown[0] - top)
    return rearrange(F.pad(images.clamp(0, 1), bars), "t c h w -> t h w c")


def as_rgb(images: Tensor) -> Tensor:
    """`[T, H, W, C]` with three channels: grey is repeated, alpha is shown over black.

    Of more than four channels the first three are taken. Raises ValueError for any other shape.
    """
    if images.ndim != 4 or not images.shape[-1] or not len(images):
        raise ValueError(
            f"the images have shape {tuple(images.shape)}; expected (frames, height, width, 3)"
        )
    channels = images.shape[-1]
    if channels in (2, 4):
        images = over_background(images)
    return images[..., :3] if channels >= 3 else images[..., :1].expand(-1, -1, -1, 3)


def over_background(images: Tensor) -> Tensor:
    """`[..., C + 1]`, whose last channel is alpha, over black: `[..., C]`. `[..., 3]` stays.

    Alpha is straight: colours are not multiplied by it yet.
    """
    if images.shape[-1] not in (2, 4):
        return images
    return images[..., :-1] * images[..., -1:]


def _largest(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """The largest size with the proportions of `height` and `width` in `rows` and `columns`."""
    tall, wide = round(columns * height / width), round(rows * width / height)
    return min(rows, max(1, tall)), min(columns, max(1, wide))
