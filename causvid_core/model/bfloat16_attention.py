"""Attention in bfloat16 on a CPU, where it is quicker as plain products of matrices.

PyTorch's fused attention for CPUs multiplies bfloat16 at the rate of float32, unless there is a
tile unit; a product of two matrices runs at twice that rate where the processor has instructions
for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

_TILE_ROWS = 384  # queries at a time: their logits stay in the processor's cache
_FEWEST_KEYS = 256  # below, the calls cost more than they save
_SAMPLE_EVERY = 16  # of the keys, to guess the largest logit from


def suits(q: Tensor, k: Tensor) -> bool:
    """Whether `tiled_attention` is the quicker way; it does not support gradients."""
    return (
        q.dtype == k.dtype == torch.bfloat16
        and q.device.type == "cpu"
        and k.shape[1] >= _FEWEST_KEYS
        and not torch.is_grad_enabled()
        and _multiplies_bfloat16()
    )


def tiled_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [B, Nq, h, d], k and v [B, Nk, h, d] in bfloat16 -> [B, Nq, h, d].

    Logits are products in float32 that have to be stored in bfloat16, whose error grows with
    their size. So each row is shifted before it is stored, by an estimate of its largest logit:
    a softmax is not changed by that, and the logits that matter become the small, exact ones.
    """
    out = torch.empty_like(q)
    scale = q.shape[-1] ** -0.5
    # One piece of memory for all tiles: large ones that come and go are fetched and zeroed by the
    # system each time.
    memory = q.new_empty(min(_TILE_ROWS, q.shape[1]), k.shape[1])
    for queries, keys, values, result in _heads(q, k, v, out):
        sample = torch.mm(queries, keys[::_SAMPLE_EVERY].t())
        shifts = sample.amax(dim=-1, keepdim=True).mul_(-scale)
        for rows, shift, target in zip(
            *(torch.split(x, _TILE_ROWS) for x in (queries, shifts, result)), strict=True
        ):
            logits = memory[: len(rows)]
            torch.addmm(shift, rows, keys.t(), alpha=scale, out=logits)
            torch.softmax(logits, dim=-1, out=logits)
            target.copy_(torch.mm(logits, values))
    return out


def _heads(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Matrices [N, d] of every sample and head of tensors [B, N, h, d]: views."""
    for sample in zip(*tensors, strict=True):
        yield from zip(*(x.unbind(1) for x in sample), strict=True)


@cache
def _multiplies_bfloat16() -> bool:
    """Natively, but without the tile unit that the fused attention makes use of."""

    def has(feature: str) -> bool:
        return getattr(torch.cpu, feature, lambda: False)()

    return has("_is_avx512_bf16_supported") and not has("_is_amx_tile_supported")
