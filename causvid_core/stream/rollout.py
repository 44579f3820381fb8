"""Making video block by block (CausVid, arXiv 2412.07772; Self-Forcing, arXiv 2506.08009)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..model.binding import BoundWan, as_bound
from ..storage.disk import DiskStore
from . import bounds
from .cache import LiveCache
from .finite import NotFinite, is_finite
from .noise import Noise, add_noise, seeded_noise
from .prompt_cache import PromptPlan, Prompts
from .recipe import Recipe
from .segment import CARRY
from .session import OpenBlock, Session
from .source import Opener, Strength, from_noise, from_source
from .state import StreamBlock, StreamState


class StepRecord(NamedTuple):
    """What `on_step` gets after every denoising call.

    block: index of the block in its stream. blocks: of this rollout. step: of `steps`. x0: clean
    prediction [B, 16, t, H, W] on the device, read only. first_frame: latent frame that x0 begins
    with.
    """

    block: int
    blocks: int
    step: int
    steps: int
    x0: Tensor
    first_frame: int


@dataclass(frozen=True)
class Block:
    """A finished block: clean latents [B, 16, t, H, W] in float32 on the device.

    index: its number in the stream. first_frame: its first latent frame. switch: the mode (see
    `segment`) that was applied before it. state: the stream up to and including it; reading it
    waits until the latents are on the CPU.
    """

    latents: Tensor
    index: int
    first_frame: int
    switch: str
    _state: Callable[[], StreamState] = field(repr=False)

    @cached_property
    def state(self) -> StreamState:
        """The state after this block."""
        return self._state()


def start(
    recipe: Recipe,
    model: nn.Module | BoundWan,
    *,
    height: int,
    width: int,
    batch: int = 1,
    seed: int = 0,
) -> StreamState:
    """An empty stream. height and width are those of a latent frame (px / 8).

    Raises ValueError when the model's patches do not tile the frame, or for a number that is not
    whole or beyond `bounds`.
    """
    bound = as_bound(model)
    height, width, batch = (
        bounds.whole(name, value, 1)
        for name, value in (("height", height), ("width", width), ("batch", batch))
    )
    bound.config.grid(height, width)
    seed, fingerprint = bounds.seed(seed), bound.fingerprint()
    return StreamState(recipe, height, width, batch, seed, fingerprint, live=LiveCache())


def prime(
    model: nn.Module | BoundWan,
    state: StreamState,
    context: Tensor | PromptPlan,
    latents: Tensor,
    switch: str = CARRY,
) -> StreamState:
    """The stream with clean latents [B or 1, 16, T, H, W] appended as if it had made them.

    They must fill whole blocks. Their clean passes run when the stream is continued. context,
    switch: as in `rollout`. Raises ValueError for a size that does not fit, NotFinite for latents
    with NaN or infinity.
    """
    bound = as_bound(model)
    prompts = Prompts(bound, state.batch, context, switch)
    channels, size = bound.config.out_dim, (state.height, state.width)
    fits = latents.ndim == 5 and latents.shape[0] in (1, state.batch)
    if not fits or latents.shape[1] != channels or latents.shape[3:] != size:
        raise ValueError(
            f"the given latents have shape {tuple(latents.shape)}; expected ({state.batch}, "
            f"{channels}, latent frames, {state.height}, {state.width})"
        )
    parts = torch.split(latents, state.policy.split(state.blocks, latents.shape[2]), dim=2)
    shape = (state.batch, -1, -1, -1, -1)
    history, pending = list(state.history), state.switch
    for part in parts:
        index, given = len(history), part.detach().to("cpu", torch.float32).expand(shape).clone()
        if not is_finite(given):
            raise NotFinite(index, None, "the given latents are not finite; check what made them")
        mode = prompts.switch(index, history[-1].context if history else None, pending)
        history.append(StreamBlock.new(given, prompts.context(index), mode))
        pending = CARRY
    return state._replace(history=tuple(history), snapshot=None, switch=CARRY)


def rollout(
    model: nn.Module | BoundWan,
    state: StreamState,
    context: Tensor | PromptPlan,
    blocks: int,
    source: Tensor | Iterable[Tensor] | None = None,
    strength: Strength = 1.0,
    noise: Noise | None = None,
    on_step: Callable[[StepRecord], object] | None = None,
    switch: str = CARRY,
    store: DiskStore | None = None,
) -> Generator[Block, None, None]:
    """Continue a stream by `blocks` blocks, yielding each when it is done.

    context: [B or 1, l, text_dim], or a plan that gives every block its own. source, strength: an
    input video and how much of it to replace, a number or strength(block_index); see
    `from_source`. noise: noise(block_index, step_index, shape), from the state's seed when None.
    on_step: called after every denoising call; an exception from it ends the rollout and leaves
    every state valid. switch: what becomes of the window (carry, recache, flush or cut; see
    `segment`) when `context` is a tensor that differs from the prompt of the block before; a plan
    names its own. store: keeps the latents of finished blocks on disk, so that memory does not
    grow with the video. Raises ValueError at once, before any work, for arguments that do not fit.
    A block with NaN or infinity ends the rollout with NotFinite: at once on the CPU, else when it
    has arrived there, a block later or when its `state` is read. Every earlier state stays valid.

    `state` is not changed and can be continued again; the newest continuation takes over the cache
    on the device. Nothing in the loop waits for the device.
    """
    bound = as_bound(model)
    if blocks < 1:
        raise ValueError(f"{blocks} blocks make no video; ask for at least 1")
    prompts = Prompts(bound, state.batch, context, switch)
    opener: Opener = from_noise
    if source is not None:
        opener = from_source(source, strength, state.policy, state.blocks, blocks)
    noise = noise or seeded_noise(state.seed)
    return _generate(bound, state, prompts, blocks, opener, noise, on_step, store)


@torch.no_grad()
def _generate(
    bound: BoundWan,
    state: StreamState,
    prompts: Prompts,
    blocks: int,
    opener: Opener,
    noise: Noise,
    on_step: Callable[[StepRecord], object] | None,
    store: DiskStore | None,
) -> Generator[Block, None, None]:
    with Session(bound, state, blocks, prompts, store) as session:
        for _ in range(blocks):
            with session.block() as block:
                fresh = _fresh(bound, noise, block)
                opening = opener(block.index, block.schedule, fresh)
                if opening is None:
                    return
                x0 = x = opening.latents
                timesteps, sigmas = opening.schedule
                steps = len(timesteps)
                for step in range(opening.step, steps):
                    x0 = x - sigmas[step] * block.flow(x, timesteps[step])
                    if on_step is not None:
                        on_step(StepRecord(block.index, blocks, step, steps, x0, block.first_frame))
                    if step + 1 < steps:
                        x = add_noise(x0, fresh(step + 1), sigmas[step + 1])
                block.finish(x0)
            after = partial(session.state_after, block.index + 1)
            yield Block(x0, block.index, block.first_frame, block.switch, after)


def _fresh(bound: BoundWan, noise: Noise, block: OpenBlock) -> Callable[[int], Tensor]:
    """The noise of one block by step, float32 on the device."""

    def fresh(step: int) -> Tensor:
        drawn = noise(block.index, step, block.shape)
        if tuple(drawn.shape) != block.shape:
            raise ValueError(f"noise has shape {tuple(drawn.shape)}; expected {block.shape}")
        if bound.device.type == "cuda" and drawn.device.type == "cpu":
            drawn = drawn.pin_memory()
        return drawn.to(bound.device, torch.float32, non_blocking=True)

    return fresh
