"""Keys and values of the latent frames that blocks see, and self-attention over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .attention import Attention
from .binding import BoundWan
from .rope import rotate


class Slots(NamedTuple):
    """Tokens `first` to `last` of a block, kept from token `start` of the cache on."""

    start: int
    first: int
    last: int


class KVRing:
    """Keys and values [B, tokens, h, d] of every layer, written in place and never moved.

    Reading a filled prefix is a view. Which token lies where is the caller's policy.
    """

    def __init__(self, bound: BoundWan, batch: int, tokens: int) -> None:
        self._shape = (batch, bound.config.num_heads, bound.config.head_dim)
        self._dtype, self._device = bound.dtype, bound.device
        self.keys = [self._allocate(tokens) for _ in range(bound.config.num_layers)]
        self.values = [self._allocate(tokens) for _ in range(bound.config.num_layers)]
        self._scratch: Tensor | None = None
        self.allocations = 1

    @property
    def tokens(self) -> int:
        """Tokens there is room for."""
        return self.keys[0].shape[1]

    @property
    def token_bytes(self) -> int:
        """Bytes that one token takes in all layers, for the whole batch."""
        return 2 * len(self.keys) * self.keys[0][:, :1].nbytes

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.keys[0].device

    def reserve(self, tokens: int) -> None:
        """Make room for `tokens` tokens. Grows by half at least, layer by layer, so that the
        copies of a stream that keeps everything add up to a constant factor. Mutates the ring.
        """
        if tokens <= self.tokens:
            return
        tokens = max(tokens, self.tokens * 3 // 2)
        self.allocations += 1
        for tensors in (self.keys, self.values):
            for layer, old in enumerate(tensors):
                tensors[layer] = self._allocate(tokens)
                tensors[layer][:, : old.shape[1]].copy_(old)

    def zero(self) -> None:
        """Fill with zeros: a replay leaves slots unwritten. Mutates the ring."""
        for tensor in (*self.keys, *self.values):
            tensor.zero_()

    def scratch(self, tokens: int) -> Tensor:
        """Memory [B, tokens, h, d] that all layers share, one after the other."""
        if self._scratch is None or self._scratch.shape[1] < tokens:
            self._scratch = self._allocate(self.tokens)
        return self._scratch[:, :tokens]

    def write_prefix(self, keys: Iterable[Tensor], values: Iterable[Tensor]) -> None:
        """Overwrite the first tokens of every layer. Mutates the ring."""
        for tensors, source in ((self.keys, keys), (self.values, values)):
            for own, given in zip(tensors, source, strict=True):
                own[:, : given.shape[1]].copy_(given, non_blocking=True)

    def read_prefix(self, tokens: int) -> tuple[tuple[Tensor, ...], ...]:
        """Copies of the first `tokens` tokens of every layer on the CPU: keys and values."""
        return tuple(
            tuple(tensor[:, :tokens].to("cpu", copy=True) for tensor in tensors)
            for tensors in (self.keys, self.values)
        )

    def _allocate(self, tokens: int) -> Tensor:
        batch, heads, width = self._shape
        return torch.empty(batch, tokens, heads, width, dtype=self._dtype, device=self._device)


class CachedAttention:
    """Self-attention of one block: writes its keys and values, reads all that are filled.

    rope [N, 1, d / 2]: rotations of the block's tokens. key_rope None: keys are kept rotated to
    their position, as in the reference systems. key_rope [filled, 1, d / 2], in the order of the
    cache: keys are kept unrotated and rotated at use, to positions counted within the window, so
    that positions do not grow with the stream (LongLive's and Infinity-RoPE's).
    """

    def __init__(
        self,
        attention: Attention,
        ring: KVRing,
        slots: Sequence[Slots],
        filled: int,
        rope: Tensor,
        key_rope: Tensor | None = None,
    ) -> None:
        self._attention, self._ring = attention, ring
        self._slots, self._filled = slots, filled
        self._rope, self._key_rope = rope, key_rope

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `SelfAttend`. Mutates the ring."""
        self.keep(layer, k, v)
        keys, values = (t[layer][:, : self._filled] for t in (self._ring.keys, self._ring.values))
        if self._key_rope is not None:
            keys = rotate(keys, self._key_rope, out=self._ring.scratch(self._filled))
        return self._attention(rotate(q, self._rope).to(keys.dtype), keys, values)

    def keep(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Write the block's keys and values [B, N, h, d]. Mutates the ring."""
        for start, first, last in self._slots:
            kept = slice(start, start + last - first)
            keys, values = self._ring.keys[layer][:, kept], self._ring.values[layer][:, kept]
            if self._key_rope is None:
                rotate(k[:, first:last], self._rope[first:last], out=keys)
            else:
                keys.copy_(k[:, first:last])
            values.copy_(v[:, first:last])
