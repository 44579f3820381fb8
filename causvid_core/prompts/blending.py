"""Mixing prompt embeddings: along a straight line, or along an arc that keeps their length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

INTERPOLATIONS = ("linear", "spherical")

_PARALLEL = 1e-4  # sine of the angle below which slerp is lerp


def blend(contexts: Sequence[Tensor], weights: Sequence[float], how: str = "linear") -> Tensor:
    """Contexts [B or 1, l, text_dim] mixed in the proportion of `weights`, token by token.

    Shorter contexts are padded with zeros, as Wan pads them. "linear" is a weighted mean,
    "spherical" is `slerp`, one prompt after the other. Returns the dtype of the first. Raises
    ValueError for contexts of different width or batch, or a weight that is not above 0.
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
        mixed = (slerp if how == "spherical" else torch.lerp)(mixed, context, share)
    return mixed.to(contexts[0].dtype)


def check_together(contexts: Iterable[Tensor]) -> None:
    """Raises ValueError unless contexts [B or 1, l, text_dim] agree in width and batch."""
    shapes = [context.shape for context in contexts]
    widths, batches = ({shape[axis] for shape in shapes} for axis in (2, 0))
    if len(widths) > 1:
        raise ValueError(
            f"the prompts have embeddings of different width ({_listed(widths)}); encode all of "
            "them with one text encoder"
        )
    if len(batches - {1}) > 1:
        raise ValueError(
            f"the prompts are for {_listed(batches - {1})} videos; give each prompt for one video, "
            "or all of them for as many"
        )


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """`share` of the way from the vectors of `first` to those of `second`.

    Directions move along the arc between them, lengths change evenly. Vectors that are parallel,
    opposite or zero have no arc and are mixed along the line.
    """
    lengths = first.norm(dim=-1, keepdim=True), second.norm(dim=-1, keepdim=True)
    start, end = functional.normalize(first, dim=-1), functional.normalize(second, dim=-1)
    chord, diagonal = (v.norm(dim=-1, keepdim=True) for v in (start - end, start + end))
    angle = 2 * torch.atan2(chord, diagonal)  # exact where an arc cosine is not
    sine = angle.sin()
    direction = start * ((1 - share) * angle).sin() + end * (share * angle).sin()
    curved = direction / sine.clamp(min=_PARALLEL) * torch.lerp(*lengths, share)
    straight = (sine < _PARALLEL) | (lengths[0] == 0) | (lengths[1] == 0)
    return torch.where(straight, torch.lerp(first, second, share), curved)


def _aligned(contexts: Sequence[Tensor]) -> list[Tensor]:
    """The contexts in float32 on the first one's device, all of one shape."""
    check_together(contexts)
    batch, length = (max(context.shape[axis] for context in contexts) for axis in (0, 1))
    aligned = (context.to(contexts[0].device, torch.float32) for context in contexts)
    return [
        functional.pad(context, (0, 0, 0, length - context.shape[1])).expand(batch, -1, -1)
        for context in aligned
    ]


def _listed(numbers: Iterable[int]) -> str:
    return " and ".join(map(str, sorted(numbers)))
