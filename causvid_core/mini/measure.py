"""What a clip of the world shows, read from its pixels alone."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .vocabulary import COLOURS, DIRECTIONS, SHAPES
from .world import ClipSpec, draw

BRIGHT = 0.62  # every colour of a shape has a channel above it, no background has one
TEMPLATE_RADII = tuple(r / 2 for r in range(12, 52))


class Reading(NamedTuple):
    """Measured from a clip: names from the vocabulary, colour in 0..1, radius in px.

    overlap: how well the shape is drawn, its overlap with the nearest template as a share of both
    together. jitter: how evenly it moves, the RMS deviation in px of its steps from their mean.
    """

    shape: str
    colour: str
    direction: str
    rgb: Tensor  # [3], mean over the shape
    radius: float  # of the disc of equal area
    overlap: float
    jitter: float


def foreground(px: Tensor) -> Tensor:
    """How much of each pixel a shape covers: `[T, H, W]` in 0..1 from px `[3, T, H, W]`."""
    return ((px.amax(dim=0) - BRIGHT + 0.1) / 0.2).clamp(0, 1)


def read_clip(px: Tensor) -> Reading:
    """Measure px `[3, T, H, W]` in 0..1 with one shape on a torus."""
    cover = foreground(px)
    solid = (cover == 1).float()
    weight = solid if solid.sum() > 0 else cover + 1e-6
    rgb = (px * weight).sum(dim=(1, 2, 3)) / weight.sum()
    area = float(cover.sum(dim=(1, 2)).mean())
    shape, overlap = _shape(cover)
    steps = _steps(cover)
    x, y = steps.sum(dim=0).tolist()
    return Reading(
        shape=shape,
        colour=_colour(rgb),
        direction=max(DIRECTIONS, key=lambda to: x * DIRECTIONS[to][0] + y * DIRECTIONS[to][1]),
        rgb=rgb,
        radius=math.sqrt(area / math.pi),
        overlap=overlap,
        jitter=float((steps - steps.mean(dim=0)).square().sum(dim=1).mean().sqrt()),
    )


def psnr_db(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1."""
    return float(-10 * torch.log10((a - b).square().mean().clamp(min=1e-12)))


def _phases(cover: Tensor) -> Tensor:
    """Centre of each frame on the torus as angles `[T, 2]` (x, y)."""
    angles = []
    for axis in (2, 1):
        size = cover.shape[axis]
        profile = cover.sum(dim=3 - axis)  # [T, size]
        turn = 2 * math.pi * (torch.arange(size) + 0.5) / size
        angles.append(torch.atan2(profile @ turn.sin(), profile @ turn.cos()))
    return torch.stack(angles, dim=1)


def _steps(cover: Tensor) -> Tensor:
    """Movements between frames in px `[T - 1, 2]` (x, y)."""
    turns = _phases(cover).diff(dim=0)
    size = torch.tensor((cover.shape[2], cover.shape[1])) / (2 * math.pi)
    return (torch.remainder(turns + math.pi, 2 * math.pi) - math.pi) * size


def _colour(rgb: Tensor) -> str:
    palette = torch.tensor(list(COLOURS.values()))
    # Shapes are shaded from light to dark: compare hues and saturations, not brightness.
    distance = (palette / palette.amax(1, True) - rgb / rgb.amax()).square().sum(dim=1)
    return list(COLOURS)[int(distance.argmin())]


def _shape(cover: Tensor) -> tuple[str, float]:
    """The shape whose upright template of equal area overlaps most, over the frames."""
    height, width = cover.shape[1:]
    mean = _centred(cover).mean(dim=0)
    templates, areas = _templates(height, width)
    scores = {}
    for index, name in enumerate(SHAPES):
        nearest = int((areas[index] - mean.sum()).abs().argmin())
        template = templates[index, nearest]
        both = torch.minimum(template, mean).sum()
        scores[name] = float(both / torch.maximum(template, mean).sum())
    best = max(scores, key=scores.__getitem__)
    return best, scores[best]


@lru_cache(maxsize=4)
def _templates(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Covers `[shapes, radii, H, W]` centred like a clip, and their areas."""
    radii = torch.tensor(TEMPLATE_RADII).view(-1, 1, 1)
    still = torch.zeros_like(radii)
    rows = []
    for shape in SHAPES:
        spec = ClipSpec(shape, "white", "medium", None, None, "steadily", "black", "plain")
        middle = (still + width / 2, still + height / 2)
        cover = foreground(draw(spec, height, width, *middle, still, radii))
        rows.append(_centred(cover))
    templates = torch.stack(rows)
    return templates, templates.sum(dim=(2, 3))


def _centred(cover: Tensor) -> Tensor:
    """Every frame of `[T, H, W]` rolled over the torus so that its shape sits in the middle."""
    height, width = cover.shape[1:]
    frames = []
    for frame, (x, y) in zip(cover, _phases(cover).tolist(), strict=True):
        dx = round(width / 2 - x * width / (2 * math.pi))
        dy = round(height / 2 - y * height / (2 * math.pi))
        frames.append(torch.roll(frame, (dy, dx), (0, 1)))
    return torch.stack(frames)
