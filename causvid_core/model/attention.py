"""Self-attention without a cache: who sees whom, as values that the forward calls.

An attention function takes q, k, v [B, N, h, d] and an optional additive bias that broadcasts to
[B, h, Nq, Nk], and returns [B, Nq, h, d]. A self-attention takes the layer's index and its
normalised, unturned q and k and its v, and returns what the layer's output projection reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from .rope import rotate

_CHUNK = 256
_WORTHWHILE_KEYS = 512


class Attention(Protocol):
    """An attention function; set `supports_bias = False` on one that ignores its bias."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """q [B, Nq, h, d], k and v [B, Nk, h, d] -> [B, Nq, h, d]."""


class SelfAttend(Protocol):
    """How the tokens of one call attend to each other and to what came before."""

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v [B, N, h, d] -> [B, N, h, d]."""


def torch_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """PyTorch's fused attention; the views it is given are not copied."""
    if bias is None and _products_pay_off(q, k):
        return _attention_by_products(q, k, v)
    out = functional.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=bias
    )
    return out.transpose(1, 2)


def _products_pay_off(q: Tensor, k: Tensor) -> bool:
    """Whether matrix products beat the fused kernel: for bfloat16 on a CPU that multiplies it
    natively but has no tile unit, the kernel runs at float32's speed and products at twice that.
    """
    return (
        q.dtype == k.dtype == torch.bfloat16
        and q.device.type == "cpu"
        and k.shape[1] >= _WORTHWHILE_KEYS
        and not torch.is_grad_enabled()
        and _multiplies_bfloat16()
    )


def _attention_by_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention head by head, in chunks of queries whose scores stay in the processor's cache."""
    batch, queries, heads, width = q.shape
    out = torch.empty_like(q)
    for sample in range(batch):
        for head in range(heads):
            keys, values = k[sample, :, head].t(), v[sample, :, head]
            for start in range(0, queries, _CHUNK):
                chunk = q[sample, start : start + _CHUNK, head]
                scores = torch.addmm(chunk.new_zeros(()), chunk, keys, beta=0, alpha=width**-0.5)
                out[sample, start : start + _CHUNK, head] = scores.softmax(dim=-1) @ values
    return out


@cache
def _multiplies_bfloat16() -> bool:
    def has(feature: str) -> bool:
        return getattr(torch.cpu, feature, lambda: False)()

    return has("_is_avx512_bf16_supported") and not has("_is_amx_tile_supported")


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
