"""The keys and values of a stream on the device, and who may use them.

States of one stream share a `LiveCache`. A generator takes it over for as long as it runs when
it still holds what the state needs; otherwise the state's snapshot is uploaded or the clean
passes are replayed, which gives the same numbers to the bit.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..model.binding import BoundWan
from ..model.kv_cache import KVRing
from .quantise import restore
from .window import WindowPolicy

log = logging.getLogger("causvid")


class KVSnapshot(NamedTuple):
    """Keys and values of the window on the CPU, one [B, tokens, h, d] of each a layer.

    They are final for the first `blocks` blocks of the stream's segment and serve any model and
    recipe with the same `signature`. `scales` [B, tokens, h, 1], of all keys and then of all
    values, are there when keys and values are int8 (see `quantise`), which is no longer exact.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    blocks: int
    signature: str
    scales: tuple[Tensor, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values, *self.scales))

    def write_to(self, ring: KVRing) -> None:
        """Fill the first tokens of the ring."""
        keys, values = self.keys, self.values
        if self.scales:
            layers = len(keys)
            keys = restore(keys, self.scales[:layers], ring.device)
            values = restore(values, self.scales[layers:], ring.device)
        ring.write_prefix(keys, values)


class LiveCache:
    """A ring on the device and the blocks whose keys and values it holds.

    `block_ids` names the blocks of a segment that had their clean pass, in order; `written` is the
    latent frame of that segment up to which slots have been overwritten; `frame_tokens` counts the
    tokens of one latent frame; `leased` says that a rollout is using the cache. Copies and pickles
    are empty: what is on a device does not travel.
    """

    def __init__(self) -> None:
        self.ring: KVRing | None = None
        self.signature = ""
        self.frame_tokens = 0
        self.block_ids: list[str] = []
        self.written = 0
        self.leased = False

    @property
    def required_ring(self) -> KVRing:
        """The ring. RuntimeError when there is none on the device."""
        if self.ring is None:
            raise RuntimeError("the cache holds no ring on the device")
        return self.ring

    def __reduce__(self) -> tuple[type[LiveCache], tuple[()]]:
        return (LiveCache, ())

    def serves(self, signature: str, ids: Sequence[str], policy: WindowPolicy) -> bool:
        """Whether a segment of these blocks can go on from here, after clean passes at most."""
        shared = min(len(self.block_ids), len(ids))
        return (
            self.ring is not None
            and self.signature == signature
            and self.block_ids[shared - 1 : shared] == list(ids[shared - 1 : shared])
            and policy.can_rewind(self.written, shared)
        )

    def rewind(self, blocks: int) -> None:
        """Forget all blocks but the first `blocks`. Mutates the cache."""
        del self.block_ids[blocks:]
        if not self.block_ids:
            self.written = 0

    def clear(self) -> None:
        """Give the device memory back, unless a generator is at work. Mutates the cache."""
        if not self.leased:
            self.ring = None
            self.block_ids.clear()
            self.written = 0


def claim(
    bound: BoundWan,
    policy: WindowPolicy,
    signature: str,
    live: LiveCache,
    snapshot: KVSnapshot | None,
    ids: Sequence[str],
    size: tuple[int, int, int],
    anew: bool = False,
) -> LiveCache:
    """A leased cache that holds the first of the named blocks, for the caller to complete.

    size: batch, tokens of a latent frame, latent frames of the segment when it is done. Takes
    `live` over when possible, else allocates a ring; what it holds comes from `live` or
    `snapshot`. anew: the caller is going to rebuild the window, and nothing of it is needed.
    """
    batch, frame_tokens, frames = size
    tokens = policy.capacity(frames) * frame_tokens
    serves = live.serves(signature, ids, policy) and live.ring.device == bound.device
    held = min(len(live.block_ids), len(ids)) if serves else 0
    stored = snapshot.blocks if snapshot is not None and snapshot.signature == signature else 0
    # What 8 bits hold is not exact, and other states may go on from `live`.
    exact = stored <= held or not snapshot.scales
    if serves and exact and not live.leased and _writable(live.ring):
        claimed = live
        claimed.ring.reserve(tokens)
    else:
        claimed = LiveCache()
        claimed.signature, claimed.frame_tokens = signature, frame_tokens
        claimed.ring = KVRing(bound, batch, max(tokens, live.ring.tokens if serves else 0))
    claimed.leased = True
    claimed.rewind(0 if anew else len(ids))
    if anew:
        return claimed
    if stored > held:
        snapshot.write_to(claimed.ring)
        claimed.block_ids[:] = ids[:stored]
        claimed.written = policy.frames_before(len(ids))
    elif held and claimed is not live:
        claimed.ring.write_prefix(live.ring.keys, live.ring.values)
        claimed.block_ids[:], claimed.written = live.block_ids[:held], live.written
    elif ids and not held:
        log.info("recomputing the keys and values of %d blocks", len(ids))
    return claimed


def _writable(ring: KVRing) -> bool:
    """Tensors made under inference mode refuse writes outside it."""
    return torch.is_inference_mode_enabled() or not ring.keys[0].is_inference()
