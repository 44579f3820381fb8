"""Self-attention without a cache: who sees whom, as values that the forward calls.

An attention function takes q, k, v [B, N, h, d] and an optional additive bias that broadcasts to
[B, h, Nq, Nk], and returns [B, Nq, h, d]. A self-attention takes the layer's index, its normalised
q and k, not rotated yet, and its v, and returns what the layer's output projection reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from . import bfloat16_attention
from .pieces import Piece
from .rope import rotate


class Attention(Protocol):
    """An attention function; set `supports_bias = False` on one that ignores its bias."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """q [B, Nq, h, d], k and v [B, Nk, h, d] -> [B, Nq, h, d]."""


class SelfAttend(Protocol):
    """How the tokens of one call attend to each other and to what came before."""

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v [B, N, h, d] -> [B, N, h, d]."""


def torch_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """PyTorch's fused attention, or what is quicker on this device; views are not copied."""
    if bias is None and bfloat16_attention.suits(q, k):
        return bfloat16_attention.tiled_attention(q, k, v)
    out = functional.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=bias
    )
    return out.transpose(1, 2)


class FullAttention:
    """Every token sees every token: the bidirectional teacher."""

    def __init__(self, attention: Attention, rope: Tensor) -> None:
        self._attention, self._rope = attention, rope

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `SelfAttend`."""
        return self._attention(rotate(q, self._rope), rotate(k, self._rope), v)


class BlockCausalAttention:
    """Every piece of the queries sees its own keys; pieces in tokens, rope as long as they are.

    One call a piece: no mask in memory, nothing computed to be masked, and keys that lie side by
    side are not copied.
    """

    def __init__(self, attention: Attention, rope: Tensor, pieces: Sequence[Piece]) -> None:
        self._attention, self._rope, self._pieces = attention, rope, list(pieces)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `SelfAttend`."""
        q, k = rotate(q, self._rope), rotate(k, self._rope)
        queries = torch.split(q, [piece.queries for piece in self._pieces], dim=1)
        return torch.cat(
            [
                self._attention(own, _rows(k, piece.keys), _rows(v, piece.keys))
                for own, piece in zip(queries, self._pieces, strict=True)
            ],
            dim=1,
        )


def _rows(x: Tensor, runs: Sequence[range]) -> Tensor:
    parts = [x[:, run.start : run.stop] for run in runs]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
