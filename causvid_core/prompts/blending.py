"""Mixing prompt embeddings: a straight line between them, or an arc that keeps their length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

INTERPOLATIONS = ("linear", "spherical")

_PARALLEL = 1e-4  # sine of the angle below which an arc is a line


def blend(contexts: Sequence[Tensor], weights: Sequence[float], how: str = "linear") -> Tensor:
    """Contexts [B or 1, l, text_dim] mixed in the proportion of `weights`, token by token.

    The longest decides the length; the others are padded with zeros, as Wan pads. "spherical"
    turns each token's direction along the arc and changes its length evenly; a zero token has no
    direction, so that a pair with one is mixed along the line. Returns the first one's dtype.
    Raises ValueError for contexts of different width or number, or weights that are no proportion.
    """
    if how not in INTERPOLATIONS:
        raise ValueError(f"interpolation is {how!r}; choose one of {', '.join(INTERPOLATIONS)}")
    if len(contexts) != len(weights) or not contexts or min(weights) <= 0:
        raise ValueError(
            f"the weights of {len(contexts)} prompts are {list(weights)}; give each "
            "prompt one above 0"
        )
    aligned = _aligned(contexts)
    mixed, total = aligned[0], float(weights[0])
    for context, weight in zip(aligned[1:], weights[1:], strict=True):
        total += weight
        share = weight / total
        mixed = (_slerp if how == "spherical" else torch.lerp)(mixed, context, share)
    return mixed.to(contexts[0].dtype)


def _aligned(contexts: Sequence[Tensor]) -> list[Tensor]:
    """The contexts in float32 on the first one's device, all of one shape."""
    widths = sorted({context.shape[2] for context in contexts})
    batches = {context.shape[0] for context in contexts}
    if len(widths) > 1:
        raise ValueError(
            f"the prompts have embeddings of width {' and '.join(map(str, widths))}; encode all "
            "of them with one text encoder"
        )
    if len(batches - {1}) > 1:
        raise ValueError(f"the prompts are for {sorted(batches)} videos; give each one or as many")
    length = max(context.shape[1] for context in contexts)
    shape = (max(batches), length, widths[0])
    return [
        functional.pad(
            context.to(contexts[0].device, torch.float32), (0, 0, 0, length - context.shape[1])
        ).expand(shape)
        for context in contexts
    ]


def _slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """`share` of the way from the vectors of `first` to those of `second`, along arcs."""
    lengths = first.norm(dim=-1, keepdim=True), second.norm(dim=-1, keepdim=True)
    directions = functional.normalize(first, dim=-1), functional.normalize(second, dim=-1)
    apart = (directions[0] - directions[1]).norm(dim=-1, keepdim=True)
    together = (directions[0] + directions[1]).norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(apart, together)  # exact where an arc cosine is not
    sine = angle.sin()
    turned = (
        directions[0] * ((1 - share) * angle).sin() + directions[1] * (share * angle).sin()
    ) / sine.clamp(min=_PARALLEL)
    curved = turned * torch.lerp(*lengths, share)
    straight = (sine < _PARALLEL) | (lengths[0] == 0) | (lengths[1] == 0)
    return torch.where(straight, torch.lerp(first, second, share), curved)
