"""`StreamState`: a point in a stream. Immutable, plain data, safe to keep and to use many times.

Everything needed to go on travels along: recipe, size, seed and the clean latents and prompts
of the blocks so far. Keys and values are a promise that is kept in one of three ways, all equal
to the bit: the ring still on the device, a snapshot of it on the CPU, or replayed clean passes.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import torch
from torch import Tensor

from ..model.binding import BoundWan, as_bound
from .cache import KVSnapshot, LiveCache
from .plan import Plan
from .quantise import quantised_token_bytes, read_quantised
from .recipe import Recipe
from .scene import CARRY


class StreamBlock(NamedTuple):
    """A finished block on the CPU: clean latents [B, 16, t, H, W] and the prompt it was made of.

    `context` is [B, l, text_dim] without padding rows; blocks share the tensor of their prompt.
    `key` is unique to this block of this stream, `switch` the mode (see `scene`) that was applied
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
    snapshot: keys and values on the CPU, or None. decoder: tensors that a streaming decoder
    needs to go on seamlessly. live: the ring on the device, if it is still there. switch: mode
    that is applied before the next block whatever its prompt.
    """

    recipe: Recipe
    height: int
    width: int
    batch: int
    seed: int
    model: str
    history: tuple[StreamBlock, ...] = ()
    snapshot: KVSnapshot | None = None
    decoder: tuple[Tensor, ...] = ()
    live: LiveCache = LiveCache()
    switch: str = CARRY

    @property
    def blocks(self) -> int:
        """Finished blocks; the index of the next."""
        return len(self.history)

    @property
    def frames(self) -> int:
        """Finished latent frames; the index of the next."""
        return Plan.of(self.recipe).frames_before(self.blocks)

    @property
    def latents(self) -> Tensor:
        """All clean latents so far, [B, 16, T, H, W] on the CPU. ValueError when there are none."""
        if not self.history:
            raise ValueError("the stream has no latents yet; roll it out first")
        return torch.cat([block.latents for block in self.history], dim=2)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all blocks so far."""
        return tuple(block.key for block in self.history)

    def signature(self, fingerprint: str) -> str:
        """What cached keys and values depend on besides the blocks themselves."""
        recipe = self.recipe
        return (
            f"{fingerprint} {Plan.of(recipe)} {recipe.positions} {recipe.context_timestep:g} "
            f"{self.batch}x{self.height}x{self.width}"
        )

    def light(self) -> StreamState:
        """This state without keys and values: a thousand times smaller, recomputed when used."""
        return self._replace(snapshot=None, live=LiveCache())

    def exact(self, model: torch.nn.Module | BoundWan | None = None) -> StreamState:
        """This state with its keys and values on the CPU.

        Copies them from the device while they are there. Otherwise `model` recomputes them;
        without it, ValueError. A snapshot that is there already stays as it is.
        """
        if self.snapshot is not None or not self.history:
            return self
        live, plan = self.live, Plan.of(self.recipe)
        if live.serves(live.signature, self.keys, plan):
            return self._replace(snapshot=self._read(live, plan))
        if model is None:
            raise ValueError(
                "the keys and values of this state have left the device; pass the model to "
                "recompute them, or keep the state light"
            )
        from .session import Session

        with torch.no_grad(), Session(as_bound(model), self, 0) as session:
            session.catch_up()
            return self._replace(snapshot=self._read(session.live, plan))

    def within(self, budget: int, int8: bool = False) -> StreamState:
        """`exact` if that takes at most `budget` bytes and no recomputing, else `light`.

        int8: a new snapshot is taken in 8 bits, which takes half the room of 16 and is close to
        exact.
        """
        live, plan = self.live, Plan.of(self.recipe)
        if self.snapshot is not None:
            return self if self.snapshot.nbytes <= budget else self.light()
        if self.history and live.serves(live.signature, self.keys, plan):
            tokens = plan.filled(self.frames) * live.frame_tokens
            token_bytes = quantised_token_bytes(live.ring) if int8 else live.ring.token_bytes
            if tokens * token_bytes <= budget:
                return self._replace(snapshot=self._read(live, plan, int8))
        return self.light()

    def release(self) -> None:
        """Give back what the stream holds on the device; every state of it stays valid."""
        self.live.clear()

    def _read(self, live: LiveCache, plan: Plan, int8: bool = False) -> KVSnapshot:
        blocks = min(len(live.keys), self.blocks)
        tokens = plan.filled(self.frames) * live.frame_tokens
        if int8:
            keys, values, scales = read_quantised(live.ring, tokens)
            return KVSnapshot(keys, values, blocks, live.signature, scales)
        keys, values = live.ring.read_prefix(tokens, "cpu")
        return KVSnapshot(keys, values, blocks, live.signature)
