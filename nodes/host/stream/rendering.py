"""One rollout of the core inside the host: memory, progress and tidying up around it."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from typing import NamedTuple

import comfy.model_management
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....causvid_core import BoundWan, rollout, stream_memory_bytes
from ....causvid_core.storage.disk import DiskStore
from ....causvid_core.stream import snapshot_within
from ....causvid_core.stream.lengths import steps_ahead, switches_ahead
from ....causvid_core.stream.prompt_cache import PromptPlan
from ....causvid_core.stream.rollout import Block
from ....causvid_core.stream.state import StreamState
from ....causvid_core.stream.window import WindowPolicy
from ..live.view import LiveView
from ..loading.sampling import NOTHING, Beside, placed
from . import handover
from .progress import RolloutProgress

GB = 10**9
MB = 10**6
EXACT, INT8, RECOMPUTE = KEEP_CACHE = ("exact", "int8", "recompute")


class Keeping(NamedTuple):
    """What of its keys and values a stream takes along in CPU memory.

    how: one of KEEP_CACHE. budget: bytes; what is larger is recomputed.
    """

    how: str = EXACT
    budget: int = GB


class Rendering(NamedTuple):
    """What `rollout` makes a stream of; see there. source begins with the first block.

    beside: models that the source needs while the stream is made. store: where latents go.
    """

    context: Tensor | PromptPlan
    blocks: int
    source: Tensor | Iterable[Tensor] | None = None
    strength: float | Callable[[int], float] = 1.0
    switch: str = "carry"
    beside: Beside = NOTHING
    store: DiskStore | None = None


def continue_stream(
    model: ModelPatcher,
    bound: BoundWan,
    state: StreamState,
    rendering: Rendering,
    keeping: Keeping,
    listening: AbstractContextManager[Callable[[Block], object]],
    view: LiveView,
) -> tuple[StreamState, str]:
    """The stream when `rendering` is done, and a sentence on what it takes along.

    `bound` is `model` bound by `bind_model`. listening: entered when the weights are in place; what
    it gives is told every block, and before it the view, which is open. Nothing stays on the device
    but what `handover` keeps until the execution ends. On every way out, Cancel included, `state`
    stays valid.
    """
    handover.take(state)
    first, blocks = state.blocks, rendering.blocks
    switches = switches_ahead(bound, state, rendering.context, rendering.switch, blocks)
    progress = RolloutProgress(view, first, steps_ahead(state, switches))
    needed = stream_memory_bytes(
        state.recipe,
        bound.config,
        state.height,
        state.width,
        state.batch,
        bound.dtype,
        latent_frames=WindowPolicy.of(state.recipe).frames_before(first + blocks),
    )
    last = None
    try:
        with placed(model, max(0, needed - handover.held_bytes(state)), rendering.beside):
            made = rollout(
                bound,
                state,
                rendering.context,
                blocks,
                rendering.source,
                rendering.strength,
                on_step=progress,
                switch=rendering.switch,
                store=rendering.store,
            )
            with listening as on_block, closing(made) as run:
                for last in run:
                    view.block(last)
                    on_block(last)
            if last is None:
                raise ValueError("The input video has no frames left for this stream.")
            return _stored(last.state, keeping)
    finally:
        handover.settle(state.live)


def _stored(finished: StreamState, keeping: Keeping) -> tuple[StreamState, str]:
    """The finished stream with what it takes along, and the sentence about it.

    A cache in 8 bits is never handed over on the device: whether a node is rendered again or
    not, the next one goes on from the same numbers.
    """
    size = handover.held_bytes(finished)
    stored = finished.uncached()
    try:
        if keeping.how != RECOMPUTE:
            stored = snapshot_within(finished, keeping.budget, int8=keeping.how == INT8)
        snapshot = stored.snapshot
        rounded = snapshot is not None and bool(snapshot.scales)
        handed = not rounded and handover.keep(finished.live)
        stored = stored._replace(live=finished.live) if handed else stored
    finally:
        handover.settle(finished.live)
    if snapshot is not None:
        bits = " in 8 bits" if rounded else ""
        text = f"STREAM carries its cache{bits} ({snapshot.nbytes / MB:.1f} MB)"
    else:
        text = "STREAM carries latents; its cache is recomputed when it goes on"
        if keeping.how != RECOMPUTE and len(finished.block_ids) > 1:
            text += f", being larger ({size / MB:.0f} MB) than cache_gb allows"
    return stored, f"{text}; the next node takes it over on the device" if handed else text


def to_latent(model: ModelPatcher, state: StreamState) -> dict[str, Tensor]:
    """All of the stream as a LATENT `[B, 16, T, H, W]`, in the scale of the host's VAE."""
    samples = model.model.process_latent_out(state.latents)
    return {"samples": samples.to(comfy.model_management.intermediate_device())}
