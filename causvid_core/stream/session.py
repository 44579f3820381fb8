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
from .cache import claim
from .history import History
from .plan import Plan
from .prompts import Prompts
from .state import StreamState


class Session:
    """Leases the cache of `state`, with room for `blocks` more blocks, until it is closed.

    A context manager; closing twice is harmless. After an error the cache still serves every
    state that it served before.
    """

    def __init__(
        self,
        bound: BoundWan,
        state: StreamState,
        blocks: int,
        prompts: Prompts | None = None,
    ) -> None:
        self.bound, self.state = bound, state
        self.plan = Plan.of(state.recipe)
        self.prompts = prompts or Prompts(bound, state.batch)
        self.history = History(state.history, bound.device)
        grid = bound.config.grid(state.height, state.width)
        self._frame_tokens = grid[0] * grid[1]
        self._rotary = Rotary(bound.config.head_dim, grid, bound.device)
        frames = self.plan.frames_before(state.blocks + blocks)
        self.live = claim(
            bound,
            self.plan,
            state.signature(bound.fingerprint()),
            state.live,
            state.snapshot,
            state.keys,
            (state.batch, self._frame_tokens, frames),
        )

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
        self.live.leased = False

    def catch_up(self) -> None:
        """Clean passes of the blocks that have had none: the last one's, or a replay.

        A replay of a long stream leaves out the blocks that no longer bear on the window.
        """
        done, total = self.live.keys, len(self.history)
        needed = self.plan.replay(total, self.bound.config.num_layers)
        if done or len(needed) == total:
            for index in range(len(done), total):
                done.append(self._clean_pass(index))
            return
        self.live.ring.zero()
        for index in needed:
            self._clean_pass(index)
        done.extend(self.state.keys)

    def _clean_pass(self, index: int) -> str:
        """Write a finished block's final keys and values; returns the block's key."""
        key, latents, context = self.history.block(index)
        timestep = self.constant(self.state.recipe.context_timestep)
        prompt = self.prompts.encode(context)
        write_cache(self.bound, latents, timestep, self.attend(index), prompt)
        return key

    def attend(self, block: int) -> CachedAttention:
        """Self-attention of a block, whose slots count as overwritten from now on."""
        span = self.plan.span(block)
        filled = self.plan.filled(span.end)
        self.live.written = max(self.live.written, span.end)
        tokens = self._frame_tokens
        slots = [
            Slots(slot * tokens, offset * tokens, (offset + frames) * tokens)
            for slot, offset, frames in self.plan.runs(span)
        ]
        shared = (self.bound.attention, self.live.ring, slots, filled * tokens)
        frames = range(span.first, span.end)
        if self.state.recipe.positions == "absolute":
            return CachedAttention(*shared, self._rotary.table(frames))
        positions = [self.plan.rank(frame, span.end) for frame in frames]
        keys = self._rotary.table(self.plan.ranks(span.end))
        return RelativeCachedAttention(*shared, self._rotary.table(positions), keys)

    def state_after(self, blocks: int) -> StreamState:
        """The state once `blocks` blocks of the stream are finished."""
        return self.state._replace(
            history=self.history.take(blocks), snapshot=None, decoder=(), live=self.live
        )

    def constant(self, value: float) -> Tensor:
        """A timestep [1, 1] for all samples and latent frames, made without a transfer."""
        return torch.full((1, 1), float(value), device=self.bound.device)

    def constants(self, values: Sequence[float]) -> list[Tensor]:
        """A timestep [1, 1] of every value."""
        return [self.constant(value) for value in values]
