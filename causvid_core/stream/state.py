"""`StreamState`: a point in a stream. Immutable, plain data, safe to keep and to use many times.

It carries everything that continuing takes: recipe, size, seed, and the clean latents and prompts
of the blocks so far. Keys and values come from one of three sources, equal to the bit: the ring
still on the device, a snapshot of it on the CPU, or replayed clean passes.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import torch
from torch import Tensor

from .cache import KVSnapshot, LiveCache
from .geometry import TIME_SCALE, px_frames_from_latent
from .recipe import Recipe
from .segment import CARRY, Segment, starts_afresh
from .window import WindowPolicy


class StreamBlock(NamedTuple):
    """A finished block on the CPU: clean latents [B, 16, t, H, W] and the prompt it was made of.

    `context` is [B, l, text_dim] without padding rows; blocks share the tensor of their prompt.
    `id` is unique to this block of this stream, `switch` the mode (see `segment`) that was applied
    before it.
    """

    id: str
    latents: Tensor
    context: Tensor
    switch: str = CARRY

    @classmethod
    def new(cls, latents: Tensor, context: Tensor, switch: str = CARRY) -> StreamBlock:
        """A block with a fresh id."""
        return cls(secrets.token_hex(12), latents, context, switch)


class DecoderMemory(NamedTuple):
    """How far a streaming decoder got in a stream, and what it needs to go on from there.

    name: of the decoder. blocks: blocks of the stream that it has decoded. past: the tensors of
    its feature cache, on the CPU; empty where they would take too much: the last latents are then
    decoded once more, which gives the same tensors to the bit.
    """

    name: str
    blocks: int
    past: tuple[Tensor, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors."""
        return sum(tensor.nbytes for tensor in self.past)

    def light(self) -> DecoderMemory:
        """Without the tensors."""
        return self._replace(past=())

    def within(self, max_bytes: int) -> DecoderMemory:
        """Itself if its tensors take at most `max_bytes`, else `light`."""
        return self if self.nbytes <= max_bytes else self.light()


class StreamState(NamedTuple):
    """A point in a stream. Made by `start`, `prime` and `rollout`; never changed.

    recipe, seed: how it is sampled. height, width: of a latent frame. batch: videos side by side.
    model: fingerprint of the weights it was made with. history: all blocks so far.
    snapshot: keys and values on the CPU, or None. decoder: how far it has been decoded, so that a
    streaming decoder continues without a seam, or None. live: the ring on the device, if it is
    still there. switch: the mode that is applied before the next block whatever its prompt.
    """

    recipe: Recipe
    height: int
    width: int
    batch: int
    seed: int
    model: str
    history: tuple[StreamBlock, ...] = ()
    snapshot: KVSnapshot | None = None
    decoder: DecoderMemory | None = None
    live: LiveCache = LiveCache()
    switch: str = CARRY

    @property
    def policy(self) -> WindowPolicy:
        """The window policy of the recipe."""
        return WindowPolicy.of(self.recipe)

    @property
    def blocks(self) -> int:
        """Finished blocks; the index of the next."""
        return len(self.history)

    @property
    def frames(self) -> int:
        """Finished latent frames; the index of the next."""
        return self.policy.frames_before(self.blocks)

    @property
    def px_frames(self) -> int:
        """Px frames that the stream decodes to; a cut begins with a single one, as a video does."""
        if not self.history:
            return 0
        cuts = sum(starts_afresh(block.switch) for block in self.history[1:])
        return px_frames_from_latent(self.frames) - cuts * (TIME_SCALE - 1)

    @property
    def latents(self) -> Tensor:
        """All clean latents so far, [B, 16, T, H, W] on the CPU. ValueError when there are none."""
        if not self.history:
            raise ValueError("the stream has no latents yet; roll it out first")
        return torch.cat([block.latents for block in self.history], dim=2)

    @property
    def segment(self) -> Segment:
        """The segment that the last block belongs to."""
        return Segment.of(self.policy, (block.switch for block in self.history))

    @property
    def block_ids(self) -> tuple[str, ...]:
        """Ids of the blocks that the segment's keys and values are made of, place by place."""
        return self.segment.block_ids(self.blocks, lambda block: self.history[block].id)

    def signature(self, fingerprint: str) -> str:
        """What cached keys and values depend on besides the blocks themselves."""
        recipe, policy = self.recipe, self.policy
        # Files of format 3 hold this text: their caches serve only while it stays the same.
        plan = (
            f"Plan(frames_per_block={policy.frames_per_block}, "
            f"first_block_frames={policy.first_block_frames}, "
            f"window={policy.window}, sink={policy.sink})"
        )
        return (
            f"{fingerprint} {plan} {recipe.positions} {recipe.context_timestep:g} "
            f"{self.batch}x{self.height}x{self.width}"
        )

    def light(self) -> StreamState:
        """This state without tensors that can be recomputed: keys, values and the decoder's.

        A thousand times smaller; continuing it costs clean passes and gives the same result.
        """
        decoder = None if self.decoder is None else self.decoder.light()
        return self.uncached()._replace(decoder=decoder)

    def uncached(self) -> StreamState:
        """This state without keys and values."""
        return self._replace(snapshot=None, live=LiveCache())
