"""How steady a long video stays: colour, contrast and sharpness block by block, and their drift.

The world of the Mini is a torus: where a shape is does not change its measures. Contrast and
sharpness are OpenCV's, as for any video.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from causvid_core.mini.measure import foreground

COLOURS = ("shape_red", "shape_green", "shape_blue", "ground_red", "ground_green", "ground_blue")
MEASURES = (*COLOURS, "contrast", "sharpness", "size")
FAINT = 0.2  # cover above which a pixel belongs to the shape; low, to follow a fading shape
LOST = 0.5  # share of its first size below which a shape counts as lost
_LUMA = (0.299, 0.587, 0.114)


class Drift(NamedTuple):
    """Changes from the first tenth of a video to the last.

    colour: the largest change of a colour channel of the shape or the ground, as a share of full
    brightness. contrast, sharpness, size: relative to the first tenth.
    """

    colour: float
    contrast: float
    sharpness: float
    size: float


def measure(px: Tensor) -> Tensor:
    """`MEASURES` of px `[B, 3, T, H, W]` in 0..1, averaged over the px frames: `[B, 9]`.

    Colours are means over the shape and over the ground, 0..1. contrast: RMS contrast, the
    standard deviation of the luma. sharpness: variance of the luma's Laplacian. size: px radius
    of the disc of the shape's area.
    """
    cover = torch.stack([foreground(clip) for clip in px]).unsqueeze(1)  # [B, 1, T, H, W]
    shape = _mean_colour(px, (cover > FAINT).float() + 1e-6)
    ground = _mean_colour(px, (cover <= FAINT).float() + 1e-6)
    size = (cover.sum(dim=(3, 4)) / torch.pi).sqrt().mean(dim=(1, 2)).unsqueeze(1)
    red, green, blue = px.unbind(1)
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    looks = [
        np.mean([_contrast_and_sharpness(frame) for frame in clip], axis=0)
        for clip in luma.float().cpu().numpy()
    ]
    return torch.cat((shape, ground, torch.from_numpy(np.stack(looks)).to(px), size), dim=1)


def tenths(series: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the first and the last tenth of a series `[blocks, ...]`."""
    count = max(1, len(series) // 10)
    return series[:count].mean(dim=0), series[-count:].mean(dim=0)


def drift(series: Tensor) -> Drift:
    """Drift of one video, given `measure` of its blocks `[blocks, 9]`."""
    first, last = tenths(series)
    colour = (last - first)[: len(COLOURS)].abs().max()
    relative = (last / first.clamp(min=1e-6) - 1).abs()[len(COLOURS) :]
    return Drift(float(colour), *relative.tolist())


def deviation(series: Tensor) -> Tensor:
    """Distance of every block of one video `[blocks, 9]` from its first tenth: `[blocks, 4]`.

    In the order and the units of `Drift`, as running means over a fiftieth of the video.
    """
    first, width = tenths(series)[0], max(1, len(series) // 50)
    kernel = torch.ones(1, 1, width).to(series) / width
    rows = torch.nn.functional.pad(
        series.T.unsqueeze(1), (width // 2, (width - 1) // 2), "replicate"
    )
    smooth = torch.nn.functional.conv1d(rows, kernel).squeeze(1).T
    colour = (smooth - first)[:, : len(COLOURS)].abs().amax(dim=1, keepdim=True)
    relative = (smooth / first.clamp(min=1e-6) - 1).abs()[:, len(COLOURS) :]
    return torch.cat((colour, relative), dim=1)


def lost_at(series: Tensor) -> int | None:
    """First block of a series `[blocks, 9]` whose shape is less than half or more than twice as
    large as in the first tenth; None if there is none.
    """
    sizes = series[:, MEASURES.index("size")]
    first = tenths(sizes)[0]
    lost = ((sizes < LOST * first) | (sizes > first / LOST)).nonzero()
    return int(lost[0]) if len(lost) else None


def jumps(series: Tensor, reach: int = 4) -> Tensor:
    """How far the measures of a series `[blocks, 9]` jump at each block: `[blocks]`.

    The largest difference of a measure between the mean of the `reach` blocks from there and that
    of the `reach` blocks before: colours as a share of full brightness, the others of their mean.
    NaN where there are fewer blocks on either side.
    """
    scale = series.mean(dim=0).clamp(min=1e-6)
    scale[: len(COLOURS)] = 1
    total = torch.cat((torch.zeros_like(series[:1]), (series / scale).cumsum(dim=0)))
    means = (total[reach:] - total[:-reach]) / reach  # [blocks + 1 - reach, 9]
    steps = (means[reach:] - means[:-reach]).abs().amax(dim=1)
    out = torch.full((len(series),), torch.nan)
    out[reach : reach + len(steps)] = steps
    return out


def _mean_colour(px: Tensor, weight: Tensor) -> Tensor:
    return (px * weight).sum(dim=(2, 3, 4)) / weight.sum(dim=(2, 3, 4)).clamp(min=1e-6)


def _contrast_and_sharpness(luma: np.ndarray) -> Sequence[float]:
    wrapped = cv2.copyMakeBorder(luma, 1, 1, 1, 1, cv2.BORDER_WRAP)  # the world is a torus
    edges = cv2.Laplacian(wrapped, cv2.CV_32F)[1:-1, 1:-1]
    spread = cv2.meanStdDev(luma)[1][0, 0], cv2.meanStdDev(edges)[1][0, 0]
    return spread[0], spread[1] ** 2
