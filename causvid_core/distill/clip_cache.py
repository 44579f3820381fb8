"""The KV cache of a clip that a network in training denoises block by block.

The engine overwrites its ring on every step, which autograd does not allow for values that it
still needs. So a clip in training keeps the keys and values of all its latent frames, written by
clean passes only. A block attends to copies of those in its window, joined with its own keys and
values, which do carry gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from ..model.attention import Attention
from ..model.binding import BoundWan
from ..model.kv_cache import CachedAttention, KVRing, Slots
from ..model.rope import Rotary, rotate
from ..stream.window import Span, WindowPolicy


class ClipCache:
    """Keys and values of all latent frames of a clip, for one rollout of a model in training.

    The window policy decides what a block sees, as in sampling. size: (B, T, H, W) of the clip.
    positions: as in a recipe.
    """

    def __init__(
        self,
        bound: BoundWan,
        policy: WindowPolicy,
        size: tuple[int, int, int, int],
        positions: str = "absolute",
    ) -> None:
        batch, frames, height, width = size
        grid = bound.config.grid(height, width)
        self._bound, self._policy, self._relative = bound, policy, positions == "relative"
        self._tokens = grid[0] * grid[1]
        self._rotary = Rotary(bound.config.head_dim, grid, bound.device)
        self._ring = KVRing(bound, batch, frames * self._tokens)

    def attend(self, span: Span, writes: bool = False) -> ClipAttention:
        """Self-attention of the block with these latent frames; `writes` for its clean pass."""
        policy, end = self._policy, span.end
        seen = list(policy.visible(end))
        positions = [policy.rank(frame, end) if self._relative else frame for frame in seen]
        own = len(seen) - span.frames
        return ClipAttention(
            self._bound.attention,
            self._ring,
            [self._rows(run) for run in _runs(seen[:own])],
            self._rows(range(span.first, end)),
            self._rotary.table(positions[own:]),
            self._rotary.table(positions) if self._relative else None,
            writes,
        )

    def _rows(self, frames: range) -> slice:
        return slice(frames.start * self._tokens, frames.stop * self._tokens)


class ClipAttention(CachedAttention):
    """Self-attention of one block over copies of cached keys and values and its own.

    own: where its own are cached, which happens if it `writes`, in the clean pass. key_rope rotates
    all keys to positions within the window, and they are cached unrotated; without it they are
    cached rotated.
    """

    def __init__(
        self,
        attention: Attention,
        ring: KVRing,
        seen: Sequence[slice],
        own: slice,
        rope: Tensor,
        key_rope: Tensor | None,
        writes: bool,
    ) -> None:
        slots = Slots(own.start, 0, own.stop - own.start)
        super().__init__(attention, ring, [slots], own.stop, rope)
        self._seen, self._key_rope, self._writes = seen, key_rope, writes

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `SelfAttend`. Mutates the ring if it writes."""
        if self._writes:
            self.keep(layer, k, v)
        keys = self._joined(self._ring.keys[layer], self._stored(k, self._rope))
        if self._key_rope is not None:
            keys = rotate(keys, self._key_rope)
        values = self._joined(self._ring.values[layer], v)
        return self._attention(rotate(q, self._rope).to(keys.dtype), keys, values)

    def _keep_keys(self, k: Tensor, rope: Tensor, out: Tensor) -> None:
        out.copy_(self._stored(k, rope))

    def _stored(self, k: Tensor, rope: Tensor) -> Tensor:
        return rotate(k, rope) if self._key_rope is None else k

    def _joined(self, kept: Tensor, own: Tensor) -> Tensor:
        return torch.cat([*(kept[:, rows] for rows in self._seen), own.to(kept.dtype)], dim=1)


def _runs(frames: Sequence[int]) -> list[range]:
    """Ascending latent frames as runs of consecutive ones."""
    groups = groupby(enumerate(frames), key=lambda pair: pair[1] - pair[0])
    runs = [[frame for _, frame in group] for _, group in groups]
    return [range(run[0], run[-1] + 1) for run in runs]
