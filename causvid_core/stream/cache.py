"""The keys and values of a stream on the device, and who may use them.

States of one stream share a `LiveCache`. A rollout takes it over for as long as it runs, if it
still holds what the state needs; otherwise the state's snapshot is uploaded or the clean passes
are replayed, which gives the same numbers to the bit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..model.attention import Attention
from ..model.binding import BoundWan
from ..model.kv_cache import CachedAttention, KVRing, Slots
from ..model.rope import Rotary
from .quantise import restore
from .segment import Segment
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
        """Fill the first tokens of the ring. Mutates the ring."""
        if not self.scales:
            ring.write_prefix(self.keys, self.values)
            return
        layers = len(self.keys)
        ring.write_prefix(
            restore(self.keys, self.scales[:layers], ring.device),
            restore(self.values, self.scales[layers:], ring.device),
        )


class LiveCache:
    """The keys and values of a stream on the device: a ring, and the blocks that it holds.

    `block_ids` names the blocks of a segment that had their clean pass, in order; `written` is the
    latent frame of that segment up to which slots have been overwritten; `frame_tokens` counts the
    tokens of one latent frame; `leased` says that a rollout is using the cache. Copies and pickles
    are empty: what is on a device does not travel.

    Any thread may use it. Whoever reads or changes a field, or what the ring holds, has `guard`
    for as long as the two must agree: `claim` while it decides, takes the lease and copies, a
    session during each of its passes, `snapshot` while it copies. Between two passes the lease
    alone keeps other rollouts from writing, and a reader finds what `block_ids` and `written` say.
    Nobody calls foreign code with a guard but the model, or waits for a second guard.
    """

    def __init__(self) -> None:
        self.ring: KVRing | None = None
        self.signature = ""
        self.frame_tokens = 0
        self.block_ids: list[str] = []
        self.written = 0
        self.leased = False
        self.guard = threading.RLock()

    def __reduce__(self) -> tuple[type[LiveCache], tuple[()]]:
        return (LiveCache, ())

    @property
    def required_ring(self) -> KVRing:
        """The ring; RuntimeError when nothing is on the device. Does not modify the cache."""
        if self.ring is None:
            raise RuntimeError("the cache holds no ring on the device")
        return self.ring

    def serves(self, signature: str, ids: Sequence[str], policy: WindowPolicy) -> bool:
        """Whether a segment of blocks `ids` can continue from here, after clean passes at most.

        The cache may hold fewer of the blocks, or more, as long as the window of the next block
        is still in the ring. An empty cache serves every segment of its signature. Does not modify
        the cache.
        """
        shared = min(len(self.block_ids), len(ids))
        return (
            self.ring is not None
            and self.signature == signature
            and self.block_ids[shared - 1 : shared] == list(ids[shared - 1 : shared])
            and policy.can_rewind(self.written, shared)
        )

    def attention(
        self, attention: Attention, rotary: Rotary, segment: Segment, positions: str, place: int
    ) -> CachedAttention:
        """Self-attention of the block at a place of the segment, over its window.

        attention: the attention function. positions: "absolute" or "relative". Mutates the cache:
        the block's slots count as overwritten from now on.
        """
        policy, tokens = segment.policy, self.frame_tokens
        span = policy.span(place)
        filled = policy.filled(span.end) * tokens
        self.written = max(self.written, span.end)
        slots = [
            Slots(slot * tokens, offset * tokens, (offset + frames) * tokens)
            for slot, offset, frames in policy.runs(span)
        ]
        frames = range(span.first, span.end)
        if positions == "absolute":
            own, of_keys = rotary.table([segment.position(frame) for frame in frames]), None
        else:
            own = rotary.table([policy.rank(frame, span.end) for frame in frames])
            of_keys = rotary.table(policy.ranks(span.end))
        return CachedAttention(attention, self.required_ring, slots, filled, own, of_keys)

    def rewind(self, blocks: int) -> None:
        """Forget all blocks but the first `blocks`; more than there are changes nothing.

        Mutates the cache. The ring's contents stay; with no block left, every slot is free.
        """
        del self.block_ids[blocks:]
        if not self.block_ids:
            self.written = 0

    def clear(self) -> None:
        """Free the device memory, unless a rollout is using it. Mutates the cache."""
        if self.leased:  # for long, perhaps: not to be waited for
            return
        with self.guard:
            if not self.leased:
                self.drop()

    def drop(self) -> None:
        """Hold nothing any more. Mutates the cache; its guard is the caller's."""
        self.ring = None
        self.rewind(0)

    def check_integrity(self, policy: WindowPolicy | None = None) -> None:
        """Raise RuntimeError naming the first invariant that does not hold. For tests.

        policy: of the segment that the cache is laid out for; without it, lengths are not compared.
        Does not modify the cache.
        """
        ids, ring, written = self.block_ids, self.ring, self.written
        tensors = () if ring is None else (*ring.keys, *ring.values)
        least = len(ids) if policy is None else policy.frames_before(len(ids))
        needed = 0 if policy is None else policy.filled(written) * self.frame_tokens
        for holds, violation in (
            (len(set(ids)) == len(ids), f"a block is held twice among {ids}"),
            (written >= least, f"{len(ids)} blocks are held, but {written} latent frames written"),
            (not ids or self.signature, "blocks are held without a signature"),
            (not written or self.frame_tokens, "a latent frame has no tokens"),
            (ring or not (ids or written), "blocks are held without a ring"),
            (ring or not self.leased, "a rollout uses it without a ring"),
            (len({(t.shape, t.dtype) for t in tensors}) < 2, "the ring's layers differ"),
            (ring is None or ring.tokens >= needed, f"{needed} tokens overflow the ring"),
        ):
            if not holds:
                raise RuntimeError(f"the cache is inconsistent: {violation}")


def claim(
    bound: BoundWan,
    policy: WindowPolicy,
    signature: str,
    live: LiveCache,
    snapshot: KVSnapshot | None,
    ids: Sequence[str],
    size: tuple[int, int, int],
    rebuild: bool = False,
) -> LiveCache:
    """A leased cache that holds the first of the blocks `ids`, for the caller to complete.

    size: batch, tokens of a latent frame, latent frames of the segment when it is done. Takes
    `live` over when possible, else allocates a ring; what it holds comes from `live` or
    `snapshot`. rebuild: the caller is going to rebuild the window and needs nothing of it.
    Mutates `live` when it is taken over; otherwise leaves it as it is. Of several threads that
    claim one cache, one takes it over. Raises ValueError for a snapshot that does not fit; after
    any error nobody has a lease and `live` holds what it says, or nothing.
    """
    with live.guard:
        batch, frame_tokens, frames = size
        tokens = policy.capacity(frames) * frame_tokens
        ring = live.ring if live.serves(signature, ids, policy) else None
        if ring is not None and ring.device != bound.device:
            ring = None
        held = min(len(live.block_ids), len(ids)) if ring is not None else 0
        if snapshot is not None and (snapshot.signature != signature or snapshot.blocks <= held):
            snapshot = None
        if snapshot is not None and not rebuild:
            cached = policy.filled(policy.frames_before(len(ids))) * frame_tokens
            check_snapshot(snapshot, bound, (batch, cached), len(ids))
        # A snapshot in 8 bits is not exact, and other states may continue from `live`.
        exact = snapshot is None or not snapshot.scales
        if ring is not None and exact and not live.leased and _writable(ring):
            claimed = live
            try:
                ring.reserve(tokens)
            except BaseException:  # some layers have grown and some have not
                live.drop()
                raise
        else:
            claimed = LiveCache()
            claimed.signature, claimed.frame_tokens = signature, frame_tokens
            claimed.ring = KVRing(
                bound, batch, tokens if ring is None else max(tokens, ring.tokens)
            )
        if rebuild:
            claimed.rewind(0)
        elif snapshot is not None:
            claimed.rewind(0)  # an error while it is written leaves neither these blocks nor those
            snapshot.write_to(claimed.required_ring)
            claimed.block_ids[:] = ids[: snapshot.blocks]
            claimed.written = policy.frames_before(len(ids))
        elif claimed is live:
            claimed.rewind(len(ids))
        elif ring is not None and held:
            claimed.required_ring.write_prefix(ring.keys, ring.values)
            claimed.block_ids[:], claimed.written = live.block_ids[:held], live.written
        if ids and not (rebuild or claimed.block_ids):
            log.info("recomputing the keys and values of %d blocks", len(ids))
        claimed.leased = True
        return claimed


def check_snapshot(
    snapshot: KVSnapshot, bound: BoundWan, size: tuple[int, int], blocks: int
) -> None:
    """Raise ValueError, naming what differs, unless a ring of the model can take the snapshot.

    size: batch and tokens of the window. blocks: of the segment. Does not modify anything.
    """
    config = bound.config
    layers, shape = config.num_layers, (*size, config.num_heads, config.head_dim)
    dtype = torch.int8 if snapshot.scales else bound.dtype
    tensors = (*snapshot.keys, *snapshot.values)
    parts = [(tensor, shape, dtype) for tensor in tensors]
    parts += [(scales, (*shape[:3], 1), torch.float32) for scales in snapshot.scales]
    counts = {"keys": len(snapshot.keys), "values": len(snapshot.values)}
    wrong = [f"{name} of {count} layers" for name, count in counts.items() if count != layers]
    expected = f"expected {layers} layers of {shape}, {dtype}, on the CPU"
    if snapshot.scales and len(snapshot.scales) != 2 * layers:
        wrong.append(f"scales for {len(snapshot.scales)} tensors")
    if not 1 <= snapshot.blocks <= blocks:
        wrong.append(f"{snapshot.blocks} blocks where the segment has {blocks}")
    for tensor, own_shape, own_dtype in parts:
        if tuple(tensor.shape) != own_shape:
            wrong.append(f"a tensor of {tuple(tensor.shape)}")
        elif tensor.dtype != own_dtype:
            wrong.append(f"a tensor of {tensor.dtype}")
        elif tensor.device.type != "cpu":
            wrong.append(f"a tensor on {tensor.device}")
    if wrong:
        raise ValueError(
            f"the stream's kept keys and values do not fit this model: they have {wrong[0]}; "
            f"{expected}. Continue from the stream without them: state.light() recomputes them"
        )


def _writable(ring: KVRing) -> bool:
    """Tensors made under inference mode refuse writes outside it."""
    return torch.is_inference_mode_enabled() or not ring.keys[0].is_inference()
