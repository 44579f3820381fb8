"""Self-attention of a whole clip in one fused call, by PyTorch's FlexAttention.

It pays on a GPU where blocks are small and many, so that a call for each costs more than it
computes; blocks of a thousand tokens fill a GPU by themselves: see
`attention.BlockCausalAttention`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from .pieces import Piece
from .rope import rotate


class FlexBlockCausalAttention:
    """What `BlockCausalAttention` computes; on a GPU compiled, elsewhere written out by PyTorch.

    The attention function of the model is not used. The mask is made once a layout and device.
    """

    def __init__(self, rope: Tensor, pieces: Sequence[Piece]) -> None:
        self._rope = rope
        self._mask = _block_mask(tuple(pieces), rope.device)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `SelfAttend`."""
        q, k = rotate(q, self._rope), rotate(k, self._rope)
        run = _compiled() if q.device.type == "cuda" else flex_attention
        heads_first = (x.transpose(1, 2) for x in (q, k, v))
        out: Tensor = run(*heads_first, block_mask=self._mask)
        return out.transpose(1, 2)


@lru_cache(maxsize=1)
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=False)


@lru_cache(maxsize=8)
def _block_mask(pieces: tuple[Piece, ...], device: torch.device) -> BlockMask:
    counts = torch.tensor([piece.queries for piece in pieces])
    piece_of = torch.repeat_interleave(counts).to(device)
    tokens = int(counts.sum())
    sees = torch.zeros(len(pieces), tokens, dtype=torch.bool)
    for row, piece in zip(sees, pieces, strict=True):
        for run in piece.keys:
            row[run.start : run.stop] = True
    sees = sees.to(device)

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return sees[piece_of[query], key]

    return create_block_mask(visible, None, None, tokens, tokens, device=str(device))
