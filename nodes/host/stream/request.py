"""The one request that a node makes, from its widgets to the rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....causvid_core import BoundWan, Recipe, prime, start
from ....causvid_core.storage import DiskStore
from ....causvid_core.stream import SWITCHES, Block, PromptPlan, StreamState, WindowPolicy
from ....causvid_core.stream.geometry import latent_size_from_px, px_frames_from_seconds
from ..live.view import LiveView
from ..loading.sampling import bind_model
from ..prompts.context import prompt_batch, stream_prompts
from .inputs import EXACT, GB, check_size
from .opening import continued, default_recipe

BlockConsumer = Callable[[StreamState, LiveView], AbstractContextManager[Callable[[Block], object]]]
"""consumer(state, view): entered when the weights are in place and `state` is about to be rolled
out. What it gives is called with every finished block."""


@dataclass(frozen=True)
class StreamRequest:
    """A stream, how much to add to it, and how. What a step learns goes into a copy (`replace`).

    state: the stream so far, never changed. context: the prompt `[B or 1, l, text_dim]`, or a plan
    of prompts. px_frames: to add, rounded up to whole blocks; 0 where a source decides. switch:
    what happens to the stream's memory when its prompt changes. keep_cache, cache_bytes: what of
    its keys and values the finished stream carries in CPU memory. checkpoint_blocks: see
    `autosave`.

    source, strength: see `rollout`; the stream ends where its source ends. source_id: names what
    decides a source and its strength where those are no plain values, so that an autosave finds
    them again. note: what the notice says of it. companions, companion_bytes: further models at
    work, such as a VAE, and the memory they compute in. store: where latents go, if not into
    memory. consumer: takes the blocks, and then shows their frames itself.
    """

    model: ModelPatcher
    bound: BoundWan
    state: StreamState
    context: Tensor | PromptPlan
    px_frames: int
    switch: str
    keep_cache: str
    cache_bytes: int
    checkpoint_blocks: int
    source: Tensor | Iterable[Tensor] | None = None
    strength: float | Callable[[int], float] = 1.0
    source_id: str | None = None
    note: str = ""
    companions: tuple[ModelPatcher, ...] = ()
    companion_bytes: int = 0
    store: DiskStore | None = None
    consumer: BlockConsumer | None = None

    @classmethod
    def from_widgets(
        cls,
        *,
        model: ModelPatcher,
        width: int,
        height: int,
        seed: int,
        seconds: float = 0.0,
        px_frames: int = 0,
        positive: list[list[Any]] | None = None,
        prompts: Any = None,
        recipe: Recipe | None = None,
        stream: StreamState | None = None,
        switch: str = SWITCHES[0],
        keep_cache: str = EXACT,
        cache_gb: float = 1.0,
        allow_changes: bool = False,
        checkpoint_blocks: int = 0,
    ) -> StreamRequest:
        """A new stream of `width` x `height` px, or the connected one, lengthened.

        The widgets are those of `inputs`. allow_changes: another model or recipe may take the
        stream over. Raises ValueError for a model, prompt or size that does not fit.
        """
        check_size(width, height)
        bound = bind_model(model)
        size = (latent_size_from_px(height), latent_size_from_px(width))
        if stream is None:
            recipe = recipe or default_recipe(model)
        own = recipe or stream.recipe
        context = stream_prompts(positive, prompts, own, bound.config.text_dim, stream)
        batch = prompt_batch(context)
        if stream is None:
            state = start(recipe, bound, height=size[0], width=size[1], batch=batch, seed=seed)
        else:
            state = continued(stream, bound, recipe, size, batch, allow_changes)
        if seconds and not px_frames:
            px_frames = px_frames_from_seconds(seconds)
        return cls(
            model=model,
            bound=bound,
            state=state,
            context=context,
            px_frames=px_frames,
            switch=switch,
            keep_cache=keep_cache,
            cache_bytes=round(cache_gb * GB),
            checkpoint_blocks=checkpoint_blocks,
        )

    @property
    def policy(self) -> WindowPolicy:
        """The window of the stream's recipe."""
        return WindowPolicy.of(self.state.recipe)

    def begun_with(self, latents: Tensor, note: str) -> StreamRequest:
        """The same for a stream that begins with these latents `[1, 16, T, h, w]`."""
        state = prime(self.bound, self.state, self.context, latents)
        return replace(self, state=state, note=note)

    def with_companion(self, model: ModelPatcher, needed_bytes: int) -> StreamRequest:
        """The same with one more model at work, which computes in so much memory."""
        models = tuple(dict.fromkeys((*self.companions, model)))
        return replace(self, companions=models, companion_bytes=self.companion_bytes + needed_bytes)
