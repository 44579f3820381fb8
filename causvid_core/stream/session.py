"""A session: one generator's use of a stream's cache on the device."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import torch
from torch import Tensor

from ..model.binding import BoundWan
from ..model.forward import write_cache
from ..model.kv_cache import CachedAttention, RelativeCachedAttention, Slots
from ..model.rope import Rotary
from ..storage.disk import DiskStore
from .cache import LiveCache, claim
from .history import History
from .prompt_cache import Prompts
from .segment import CARRY
from .state import StreamState


class Session:
    """Leases the cache of `state`, with room for `blocks` more blocks, until it is closed.

    A context manager; closing twice is harmless. `live` is the cache from the first `catch_up`
    on. After an error it still serves every state that it served before, unless a window was
    being rebuilt in it: then those states replay theirs.
    """

    def __init__(
        self,
        bound: BoundWan,
        state: StreamState,
        blocks: int,
        prompts: Prompts | None = None,
        store: DiskStore | None = None,
    ) -> None:
        self.bound, self.state = bound, state
        self.prompts = prompts or Prompts(bound, state.batch)
        self.history = History(state.history, bound.device, store)
        self.segment = state.segment
        self.live: LiveCache | None = None
        self.switch = CARRY  # the mode that was applied before the block at work
        self._cached = self.segment  # the one that the cache is laid out for
        self._end = state.blocks + blocks
        grid = bound.config.grid(state.height, state.width)
        self._frame_tokens = grid[0] * grid[1]
        self._rotary = Rotary(bound.config.head_dim, grid, bound.device)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the lease."""
        if self.live is not None:
            self.live.leased = False

    def begin(self, block: int) -> int:
        """Name the next block of the stream and apply its switch; returns its place.

        Touches no cache yet: `catch_up` does.
        """
        before = self.history.context(block - 1) if block else None
        pending = self.state.switch if block == self.state.blocks else CARRY
        self.switch = self.prompts.switch(block, before, pending)
        self.history.begin(self.prompts.context(block), self.switch)
        self.segment = self.segment.before(block, self.switch)
        return self.segment.place(block)

    def catch_up(self) -> None:
        """Clean passes of the blocks that have had none: the last one's, a rebuilt window's, or a
        replay.

        A replay of a long segment leaves out the blocks that no longer bear on the window.
        """
        anew = self.segment is not self._cached
        if self.live is None:
            self.live = self._claim(anew)
        elif anew:
            self.live.rewind(0)
        self._cached = self.segment
        done, total = self.live.block_ids, self.segment.place(len(self.history))
        needed = self.segment.policy.replay(total, self.bound.config.num_layers)
        if done or len(needed) == total:
            for place in range(len(done), total):
                self._clean_pass(place)
                done.append(self.segment.block_id(place, self.history.id))
            return
        self.live.ring.zero()
        for place in needed:
            self._clean_pass(place)
        done.extend(self.segment.block_ids(len(self.history), self.history.id))

    def _claim(self, anew: bool) -> LiveCache:
        state = self.state
        return claim(
            self.bound,
            self.segment.policy,
            state.signature(self.bound.fingerprint()),
            state.live,
            state.snapshot,
            state.block_ids,
            (state.batch, self._frame_tokens, self.segment.frames_before(self._end)),
            anew,
        )

    def _clean_pass(self, place: int) -> None:
        """Write a finished block's final keys and values."""
        latents = self.history.latents(self.segment.block(place))
        prompt = self.prompts.encode(self.history.context(self.segment.prompt(place)))
        timestep = self.constant(self.state.recipe.context_timestep)
        write_cache(self.bound, latents, timestep, self.attend(place), prompt)

    def attend(self, place: int) -> CachedAttention:
        """Self-attention of the block at a place, whose slots count as overwritten from now on."""
        policy = self.segment.policy
        span = policy.span(place)
        filled = policy.filled(span.end)
        self.live.written = max(self.live.written, span.end)
        tokens = self._frame_tokens
        slots = [
            Slots(slot * tokens, offset * tokens, (offset + frames) * tokens)
            for slot, offset, frames in policy.runs(span)
        ]
        shared = (self.bound.attention, self.live.ring, slots, filled * tokens)
        frames = range(span.first, span.end)
        if self.state.recipe.positions == "absolute":
            positions = [self.segment.position(frame) for frame in frames]
            return CachedAttention(*shared, self._rotary.table(positions))
        positions = [policy.rank(frame, span.end) for frame in frames]
        keys = self._rotary.table(policy.ranks(span.end))
        return RelativeCachedAttention(*shared, self._rotary.table(positions), keys)

    def state_after(self, blocks: int) -> StreamState:
        """The state once `blocks` blocks of the stream are finished."""
        return self.state._replace(
            history=self.history.take(blocks), snapshot=None, live=self.live, switch=CARRY
        )

    def constant(self, value: float) -> Tensor:
        """A timestep [1, 1] for all samples and latent frames, made without a transfer."""
        return torch.full((1, 1), float(value), device=self.bound.device)

    def constants(self, values: Sequence[float]) -> list[Tensor]:
        """A timestep [1, 1] of every value."""
        return [self.constant(value) for value in values]
