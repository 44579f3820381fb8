"""`StreamState`: a point in a stream. Immutable, plain data, safe to keep and to use many times.

Everything needed to go on travels along: recipe, size, seed and the clean latents and prompts
of the blocks so far. Keys and values are a promise that is kept in one of three ways, all equal
to the bit: the ring still on the device, a snapshot of it on the CPU, or replayed clean passes.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..media.decoded import DecoderMemory
from ..model.binding import BoundWan, as_bound
from .cache import KVSnapshot, LiveCache
from .geometry import TIME_SCALE, px_frames_from_latent
from .quantise import quantised_token_bytes, read_quantised
from .recipe import Recipe
from .segment import CARRY, Segment, starts_afresh
from .window import WindowPolicy


class StreamBlock(NamedTuple):
    """A finished block on the CPU: clean latents [B, 16, t, H, W] and the prompt it was made of.

    `context` is [B, l, text_dim] without padding rows; blocks share the tensor of their prompt.
    `key` is unique to this block of this stream, `switch` the mode (see `segment`) that was applied
    before it.
    """

    key: str
    latents: Tensor
    context: Tensor
    switch: str = CARRY

    @classmethod
    def new(cls, latents: Tensor, context: Tensor, switch: str = CARRY) -> StreamBlock:
        """A block with a fresh key."""
        return cls(secrets.token_hex(12), latents, context, switch)


class StreamState(NamedTuple):
    """A point in a stream. Made by `start`, `prime` and `rollout`; never changed.

    recipe, seed: how it is sampled. height, width: of a latent frame. batch: videos side by side.
    model: fingerprint of the weights it was made with. history: all blocks so far.
    snapshot: keys and values on the CPU, or None. decoder: how far it has been decoded, so that a
    streaming decoder goes on seamlessly, or None. live: the ring on the device, if it is still
    there. switch: mode that is applied before the next block whatever its prompt.
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
    def blocks(self) -> int:
        """Finished blocks; the index of the next."""
        return len(self.history)

    @property
    def frames(self) -> int:
        """Finished latent frames; the index of the next."""
        return WindowPolicy.of(self.recipe).frames_before(self.blocks)

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
        return Segment.of(WindowPolicy.of(self.recipe), (block.switch for block in self.history))

    @property
    def keys(self) -> tuple[str, ...]:
        """What the cached keys and values of the segment's blocks are named."""
        return self.segment.names(self.blocks, lambda block: self.history[block].key)

    def signature(self, fingerprint: str) -> str:
        """What cached keys and values depend on besides the blocks themselves."""
        recipe, policy = self.recipe, WindowPolicy.of(self.recipe)
        # Files of format 3 hold this text, and caches in them serve only while it stays the same.
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
        """This state without keys, values and the decoder's tensors: a thousand times smaller,
        recomputed when used.
        """
        decoder = None if self.decoder is None else self.decoder.light()
        return self.uncached()._replace(decoder=decoder)

    def uncached(self) -> StreamState:
        """This state without keys and values."""
        return self._replace(snapshot=None, live=LiveCache())

    def exact(self, model: nn.Module | BoundWan | None = None) -> StreamState:
        """This state with its keys and values on the CPU.

        Copies them from the device while they are there. Otherwise `model` recomputes them;
        without it, ValueError. A snapshot that is there already stays as it is. A state whose
        window is about to be rebuilt, or that awaits its segment's first clean pass, needs none.
        """
        if self.snapshot is not None or not self.history or self.switch != CARRY:
            return self
        if held := self._held():
            return self._replace(snapshot=self._read(self.live, held))
        if model is None and len(self.keys) == 1:
            return self
        if model is None:
            raise ValueError(
                "the keys and values of this state have left the device; pass the model to "
                "recompute them, or keep the state light"
            )
        from .session import Session

        with torch.no_grad(), Session(as_bound(model), self, 0) as session:
            session.catch_up()
            return self._replace(snapshot=self._read(session.live, len(self.keys)))

    def within(self, budget: int, int8: bool = False) -> StreamState:
        """`exact` if that takes at most `budget` bytes and no recomputing, else `uncached`.

        int8: a new snapshot is taken in 8 bits, which takes half the room of 16 and is close to
        exact.
        """
        if self.snapshot is not None:
            return self if self.snapshot.nbytes <= budget else self.uncached()
        if self.switch == CARRY and (held := self._held()):
            ring = self.live.ring
            token_bytes = quantised_token_bytes(ring) if int8 else ring.token_bytes
            if self._cached_frames() * self.live.frame_tokens * token_bytes <= budget:
                return self._replace(snapshot=self._read(self.live, held, int8))
        return self.uncached()

    def rebased(self, model: nn.Module | BoundWan, recipe: Recipe | None = None) -> StreamState:
        """This stream, to go on with another model, LoRA strength or recipe.

        Unless the keys and values serve the new ones too, they are dropped and the next block
        begins a segment: the window is rebuilt with the new model as a switch to "recache" does.
        Raises ValueError when the model cannot read the latents or the recipe's blocks differ.
        """
        bound, recipe = as_bound(model), recipe or self.recipe
        bound.config.grid(self.height, self.width)
        channels = {block.latents.shape[1] for block in self.history[:1]}
        if channels - {bound.config.out_dim}:
            raise ValueError(
                f"the stream's latents have {channels.pop()} channels, the model makes "
                f"{bound.config.out_dim}; choose a model of the same family"
            )
        policies = WindowPolicy.of(self.recipe), WindowPolicy.of(recipe)
        old, new = ((policy.frames_per_block, policy.first_block_frames) for policy in policies)
        if old != new:
            raise ValueError(
                f"the stream is made of blocks of {old[0]} latent frames (the first of {old[1]}), "
                f"the recipe makes blocks of {new[0]} (the first of {new[1]}); choose a recipe "
                "with the same blocks, or start a new stream"
            )
        other = self._replace(recipe=recipe, model=bound.fingerprint())
        if other.signature(other.model) == self.signature(self.model) or not self.history:
            return other
        switch = "recache" if self.switch == CARRY else self.switch
        return other._replace(snapshot=None, live=LiveCache(), switch=switch)

    def release(self) -> None:
        """Give back what the stream holds on the device; every state of it stays valid."""
        self.live.clear()

    def _held(self) -> int:
        """Blocks of the segment whose final keys and values are on the device; 0 when more than the
        last one's are missing.
        """
        live, names = self.live, self.keys
        held = min(len(live.keys), len(names))
        enough = held >= max(1, len(names) - 1)
        return held if enough and live.serves(live.signature, names, self.segment.policy) else 0

    def _cached_frames(self) -> int:
        """Latent frames that the window holds."""
        segment = self.segment
        return segment.policy.filled(segment.frames_before(self.blocks))

    def _read(self, live: LiveCache, blocks: int, int8: bool = False) -> KVSnapshot:
        tokens = self._cached_frames() * live.frame_tokens
        if int8:
            keys, values, scales = read_quantised(live.ring, tokens)
            return KVSnapshot(keys, values, blocks, live.signature, scales)
        keys, values = live.ring.read_prefix(tokens, "cpu")
        return KVSnapshot(keys, values, blocks, live.signature)
