"""Keys and values of a state on the CPU: taken, bounded, given back."""

from __future__ import annotations

import torch
from torch import nn

from ..model.binding import BoundWan, as_bound
from .cache import KVSnapshot, LiveCache
from .quantise import quantised_token_bytes, read_quantised
from .segment import CARRY
from .session import Session
from .state import StreamState


def snapshot(state: StreamState, model: nn.Module | BoundWan | None = None) -> StreamState:
    """The state with its keys and values on the CPU, so that it continues exactly anywhere.

    Copies them from the device while they are there; otherwise `model` recomputes them. Returns
    the state itself when it has a snapshot already, or needs none: its window is about to be
    rebuilt, or its segment still awaits its first clean pass. Raises ValueError when the keys and
    values have left the device and no model is given.
    """
    if state.snapshot is not None or not state.history or state.switch != CARRY:
        return state
    with state.live.guard:
        if held := _held(state):
            return state._replace(snapshot=_read(state, state.live, held))
    if model is None:
        if len(state.block_ids) == 1:
            return state
        raise ValueError(
            "the keys and values of this state have left the device; pass the model to "
            "recompute them, or keep the state light"
        )
    with torch.no_grad(), Session(as_bound(model), state, 0) as session:
        return state._replace(snapshot=_read(state, session.catch_up(), len(state.block_ids)))


def snapshot_within(state: StreamState, max_bytes: int, int8: bool = False) -> StreamState:
    """`snapshot` if it takes at most `max_bytes` and no recomputing, else the state `uncached`.

    int8: store a new snapshot in 8 bits, which takes half the memory of 16 and is close to exact.
    """
    if state.snapshot is not None:
        return state if state.snapshot.nbytes <= max_bytes else state.uncached()
    with state.live.guard:
        ring = state.live.ring
        if ring is not None and state.switch == CARRY and (held := _held(state)):
            token_bytes = quantised_token_bytes(ring) if int8 else ring.token_bytes
            if _cached_frames(state) * state.live.frame_tokens * token_bytes <= max_bytes:
                return state._replace(snapshot=_read(state, state.live, held, int8))
    return state.uncached()


def release(state: StreamState) -> None:
    """Free the stream's memory on the device. Every state of the stream stays valid."""
    state.live.clear()


def _held(state: StreamState) -> int:
    """Blocks of the segment whose final keys and values are on the device; 0 when more than the
    last one's are missing.
    """
    live, ids = state.live, state.block_ids
    held = min(len(live.block_ids), len(ids))
    enough = held >= max(1, len(ids) - 1)
    return held if enough and live.serves(live.signature, ids, state.segment.policy) else 0


def _cached_frames(state: StreamState) -> int:
    """Latent frames that the window holds."""
    segment = state.segment
    return segment.policy.filled(segment.frames_before(state.blocks))


def _read(state: StreamState, live: LiveCache, blocks: int, int8: bool = False) -> KVSnapshot:
    """Copies of the window's keys and values. The cache's guard, or lease, is the caller's."""
    ring, tokens = live.required_ring, _cached_frames(state) * live.frame_tokens
    if int8:
        keys, values, scales = read_quantised(ring, tokens)
        return KVSnapshot(keys, values, blocks, live.signature, scales)
    keys, values = ring.read_prefix(tokens)
    return KVSnapshot(keys, values, blocks, live.signature)
