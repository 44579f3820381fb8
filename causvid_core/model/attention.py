"""Self-attention without a cache: who sees whom, as values that the forward calls.

An attention function takes q, k, v [B, N, h, d] and an optional additive bias that broadcasts to
[B, h, Nq, Nk], and returns [B, Nq, h, d]. A self-attention takes the layer's index and its
normalised, unturned q and k and its v, and returns what the layer's output projection reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from . import bfloat16_attention
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


class Everything:
    """Every token sees every token: the bidirectional teacher."""

    def __init__(self, attention: Attention, rope: Tensor) -> None:
        self._attention, self._rope = attention, rope

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `SelfAttend`."""
        return self._attention(rotate(q, self._rope), rotate(k, self._rope), v)


class BlockCausal:
    """Every block sees itself and the blocks before it (CausVid, arXiv 2412.07772, section 4.1).

    One call a block over a prefix of the keys: no mask in memory, nothing computed to be masked.
    """

    def __init__(self, attention: Attention, rope: Tensor, block_tokens: Sequence[int]) -> None:
        self._attention, self._rope = attention, rope
        self._block_tokens = list(block_tokens)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `SelfAttend`."""
        q, k = rotate(q, self._rope), rotate(k, self._rope)
        outputs, end = [], 0
        for queries in q.split(self._block_tokens, dim=1):
            end += queries.shape[1]
            outputs.append(self._attention(queries, k[:, :end], v[:, :end]))
        return torch.cat(outputs, dim=1)
