"""A session: one rollout's use of a stream's cache on the device, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from ..model.binding import BoundWan
from ..model.forward import denoise, write_cache
from ..model.kv_cache import CachedAttention
from ..model.prompt import EncodedPrompt
from ..model.rope import Rotary
from ..storage.disk import DiskStore
from .cache import LiveCache, claim
from .finite import NotFinite, trace
from .history import History
from .prompt_cache import Prompts
from .segment import CARRY
from .state import StreamState


class OpenBlock:
    """The block that a session is making, from `Session.block` until it is finished.

    index: its place in the stream. first_frame: its first latent frame. switch: the mode that was
    applied before it. schedule: of its denoising steps. shape: of its latents, [B, 16, t, H, W].
    """

    def __init__(self, session: Session, index: int, switch: str) -> None:
        state = session.state
        self._session = session
        self._inputs: tuple[CachedAttention, EncodedPrompt] | None = None
        self._seen: list[Tensor] = []  # what each step was given and the flow it made
        self.index, self.switch = index, switch
        self.schedule = state.recipe.schedule(session.segment.place(index))
        span = session.stream_policy.span(index)
        self.first_frame = span.first
        channels = session.bound.config.out_dim
        self.shape = (state.batch, channels, span.frames, state.height, state.width)

    def flow(self, x: Tensor, timestep: float) -> Tensor:
        """The model's flow for noisy latents x, in the shape and dtype of x.

        The block sees its window, itself included. Mutates the cache: the first call runs the
        clean passes that are due, every call overwrites the block's own slots.
        """
        session = self._session
        if self._inputs is None:
            self._inputs = session._inputs_of(self)
        with session.cache.guard:
            flow = denoise(session.bound, x, session._timestep(timestep), *self._inputs)
        self._seen += (x, flow)
        return flow

    def finish(self, x0: Tensor) -> None:
        """Append the block with clean latents x0. Its own clean pass is due with the next block.

        The lease ends with the session's last block. Raises NotFinite when this block, or one
        before it that has only now arrived on the CPU, holds NaN or infinity.
        """
        self._session._finish(self, x0)


class Session:
    """Leases the cache of `state`, with room for `blocks` more blocks, until it is closed.

    Use it as a context manager; closing twice is harmless. After an error the cache still serves
    every state that it served before, unless a window was being rebuilt in it: those states then
    replay theirs.
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
        self.segment = state.segment
        self.stream_policy = state.policy
        self._prompts = prompts or Prompts(bound, state.batch)
        self._history = History(state.history, bound.device, store)
        self._live: LiveCache | None = None
        self._closed = False
        self._cached = self.segment  # the segment that the cache is laid out for
        self._open: OpenBlock | None = None
        self._end = state.blocks + blocks
        self._frame_tokens = bound.config.tokens_per_frame(state.height, state.width)
        grid = bound.config.grid(state.height, state.width)
        self._rotary = Rotary(bound.config.head_dim, grid, bound.device)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the lease."""
        # Once: after the last block another session may have it.
        if self._live is not None and not self._closed:
            self._live.leased = False
        self._closed = True

    @property
    def cache(self) -> LiveCache:
        """The cache. RuntimeError when the session does not hold it."""
        if self._live is None or self._closed:
            raise RuntimeError("the session has no cache yet, or is closed")
        return self._live

    @contextmanager
    def block(self) -> Iterator[OpenBlock]:
        """Begin the next block of the stream: its switch is applied, the cache is not touched yet.

        Raises RuntimeError while another block is unfinished, or when the session has no room for
        one more.
        """
        index = len(self._history)
        if self._open is not None or index >= self._end:
            raise RuntimeError("the block before is unfinished, or the session is at its end")
        before = self._history.context(index - 1) if index else None
        pending = self.state.switch if index == self.state.blocks else CARRY
        switch = self._prompts.switch(index, before, pending)
        self._history.begin(self._prompts.context(index), switch)
        self.segment = self.segment.before(index, switch)
        self._open = OpenBlock(self, index, switch)
        yield self._open

    def catch_up(self) -> LiveCache:
        """Run the clean passes that are due and return the cache. Mutates the cache.

        Due are the last block's, those of a rebuilt window, or a replay, which leaves out the
        blocks of a long segment that no longer bear on the window.
        """
        if self._closed:
            raise RuntimeError("the session is closed")
        rebuild = self.segment is not self._cached
        if self._live is None:
            self._live = claim(
                self.bound,
                self.segment.policy,
                self.state.signature(self.bound.fingerprint()),
                self.state.live,
                self.state.snapshot,
                self.state.block_ids,
                (self.state.batch, self._frame_tokens, self.segment.frames_before(self._end)),
                rebuild,
            )
        elif rebuild:
            with self._live.guard:
                self._live.rewind(0)
        self._cached = self.segment
        with self._live.guard:
            self._complete(self._live)
        return self._live

    def _complete(self, live: LiveCache) -> None:
        """Run the clean passes that are due. Mutates the cache; its guard is the caller's."""
        total = self.segment.place(len(self._history))
        needed = self.segment.policy.replay(total, self.bound.config.num_layers)
        if live.block_ids or len(needed) == total:
            for place in range(len(live.block_ids), total):
                self._clean_pass(live, place)
                live.block_ids.append(self.segment.block_id(place, self._history.id))
            return
        live.required_ring.zero()
        for place in needed:
            self._clean_pass(live, place)
        live.block_ids.extend(self.segment.block_ids(len(self._history), self._history.id))

    def state_after(self, blocks: int) -> StreamState:
        """The state once `blocks` blocks of the stream are finished; waits until they have arrived
        on the CPU.
        """
        live = LiveCache() if self._live is None else self._live
        history = self._history.take(blocks)
        return self.state._replace(history=history, snapshot=None, live=live, switch=CARRY)

    def _clean_pass(self, live: LiveCache, place: int) -> None:
        """Write a finished block's final keys and values."""
        latents = self._history.latents(self.segment.block(place))
        prompt = self._prompts.encode(self._history.context(self.segment.prompt(place)))
        timestep = self._timestep(self.state.recipe.context_timestep)
        write_cache(self.bound, latents, timestep, self._attention(live, place), prompt)

    def _inputs_of(self, block: OpenBlock) -> tuple[CachedAttention, EncodedPrompt]:
        """What every denoising step of a block sees. Mutates the cache."""
        if block is not self._open:
            raise RuntimeError(f"block {block.index} is finished")
        live = self.catch_up()
        prompt = self._prompts.encode(self._history.context(block.index))
        with live.guard:
            return self._attention(live, self.segment.place(block.index)), prompt

    def _attention(self, live: LiveCache, place: int) -> CachedAttention:
        positions = self.state.recipe.positions
        return live.attention(self.bound.attention, self._rotary, self.segment, positions, place)

    def _finish(self, block: OpenBlock, x0: Tensor) -> None:
        if block is not self._open:
            raise RuntimeError(f"block {block.index} is finished")
        if block._inputs is None:  # no step was taken
            self.catch_up()
        seen, self._open, block._inputs, block._seen = block._seen, None, None, []
        self._history.add(x0, partial(self._why, block.index, seen))
        if len(self._history) == self._end:
            self.close()

    def _why(self, block: int, seen: list[Tensor]) -> NotFinite:
        """The error for a block that is not finite."""
        before = (self._history.latents(index) for index in range(block))
        context = self._history.context(block)
        return trace(self.bound, self.state, block, context, before, seen)

    def _timestep(self, value: float) -> Tensor:
        """A timestep [1, 1] for all samples and latent frames, made without a transfer."""
        return torch.full((1, 1), float(value), device=self.bound.device)
