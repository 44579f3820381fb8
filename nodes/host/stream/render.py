"""A request, rendered: memory, progress, notices and tidying up around one rollout of the core."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import islice

import comfy.model_management
from comfy_api.latest import io
from torch import Tensor

from ....causvid_core import rollout, stream_memory_bytes
from ....causvid_core.storage import Checkpoints
from ....causvid_core.stream import (
    Block,
    StreamState,
    blocks_for,
    latent_frames_for,
    px_ahead,
    snapshot_within,
    starts_afresh,
    steps_ahead,
    switches_ahead,
)
from ....causvid_core.stream.geometry import TIME_SCALE, seconds_from_px
from ..live.view import LiveView
from ..loading.sampling import placed
from ..messages import joined, message
from ..notice import show
from . import handover
from .autosave import autosave, finish, rescue
from .inputs import INT8, MB, RECOMPUTE
from .progress import RolloutProgress
from .request import StreamRequest
from .space import SpaceNotice


def lengthen(request: StreamRequest) -> io.NodeOutput:
    """The stream that is asked for: STREAM and LATENT."""
    state = render(request)
    return io.NodeOutput(state, to_latent(request, state))


def render(request: StreamRequest) -> StreamState:
    """The stream that is asked for. Notices say before and after what it comes to."""
    state = request.state
    blocks = blocks_for(state, request.px_frames)
    switches = switches_ahead(request.bound, state, request.context, request.switch, blocks)
    text = joined(request.note, *length_notice(request, switches))
    show(text)
    saved = autosave(request, blocks)
    if saved is not None:
        state = saved.resume(request.store)
    left = request.state.blocks + blocks - state.blocks
    try:
        with LiveView(request.model, state, left, decoded=request.consumer is not None) as view:
            finished, carried = _rolled_out(request, state, left, view, saved)
    finally:
        if saved is not None:
            saved.close()
    if saved is not None:
        finish(saved)
    show(joined(text, *carried))
    return finished


def to_latent(request: StreamRequest, state: StreamState) -> dict[str, Tensor]:
    """All of the stream as a LATENT `[B, 16, T, H, W]`, in the scale of the host's VAE."""
    samples = request.model.model.process_latent_out(state.latents)
    return {"samples": samples.to(comfy.model_management.intermediate_device())}


def length_notice(request: StreamRequest, switches: Sequence[str]) -> Iterator[str]:
    """What the next blocks come to, one for each switch, in sentences."""
    state, policy, blocks = request.state, request.policy, len(switches)
    made = px_ahead(state, switches)
    yield message("length.made", count=blocks, frames=made, seconds=seconds_from_px(made))
    added = policy.frames_before(state.blocks + blocks) - state.frames
    if added > latent_frames_for(state, request.px_frames):
        yield message(
            "length.rounded", frames=request.px_frames, latent_frames=policy.frames_per_block
        )
    if cuts := sum(map(starts_afresh, switches[not state.blocks :])):
        yield message("length.cuts", count=cuts, frames=cuts * (TIME_SCALE - 1))
    if state.blocks:
        px = state.px_frames + made
        yield message("length.total", frames=px, seconds=seconds_from_px(px))


def _rolled_out(
    request: StreamRequest,
    state: StreamState,
    blocks: int,
    view: LiveView,
    saved: Checkpoints | None,
) -> tuple[StreamState, list[str]]:
    """`state`, which the request's stream has reached, `blocks` blocks further; see `_stored`.

    Nothing stays on the device but what `handover` keeps. On every way out, Cancel included,
    `state` stays valid.
    """
    handover.take(state)
    bound, last = request.bound, None
    switches = switches_ahead(bound, state, request.context, request.switch, blocks)
    space = SpaceNotice(request, state, blocks)
    progress = RolloutProgress(view, state.blocks, steps_ahead(state, switches))
    needed = stream_memory_bytes(
        state.recipe,
        bound.config,
        state.height,
        state.width,
        state.batch,
        bound.dtype,
        latent_frames=request.policy.frames_before(state.blocks + blocks),
    ) - handover.held_bytes(state)
    try:
        with placed(request.model, max(0, needed), request.companions, request.companion_bytes):
            run = rollout(
                bound,
                state,
                request.context,
                blocks,
                _source_from(request, state),
                request.strength,
                on_step=progress,
                switch=request.switch,
                store=request.store,
            )
            try:
                with _consumer(request, state, view) as consume, closing(run):
                    for last in run:
                        view.block(last)
                        consume(last)
                        if saved is not None:
                            saved(last.state)
                        space.check(last.state)
            except (OSError, RuntimeError):
                if last is not None:
                    rescue(saved, last.state, request.state)
                raise
            if last is None:
                raise ValueError(message("footage.no_frames_left"))
            return _stored(request, last.state)
    finally:
        handover.settle(state.live)


def _source_from(request: StreamRequest, state: StreamState) -> object:
    """The source of the blocks after those of `state`, which an autosave may have brought."""
    source, done = request.source, state.blocks - request.state.blocks
    if source is None or not done:
        return source
    if isinstance(source, Tensor):
        return source[:, :, state.frames - request.state.frames :]
    return islice(source, done, None)


def _consumer(
    request: StreamRequest, state: StreamState, view: LiveView
) -> AbstractContextManager[Callable[[Block], object]]:
    if request.consumer is None:
        return nullcontext(lambda block: None)
    return request.consumer(state, view)


def _stored(request: StreamRequest, finished: StreamState) -> tuple[StreamState, list[str]]:
    """The finished stream with what it carries, and sentences about that.

    A cache in 8 bits is never handed over on the device: whether a node is rendered again or
    not, the next one continues from the same numbers.
    """
    keeps, live = request.keep_cache != RECOMPUTE, finished.live
    size, stored = handover.held_bytes(finished), finished.uncached()
    try:
        if keeps:
            stored = snapshot_within(finished, request.cache_bytes, int8=request.keep_cache == INT8)
        snapshot = stored.snapshot
        rounded = snapshot is not None and bool(snapshot.scales)
        handed_over = not rounded and handover.keep(live)
    finally:
        handover.settle(live)
    sentence = message("cache.recomputed")
    if snapshot is not None:
        key = "cache.carried_int8" if rounded else "cache.carried"
        sentence = message(key, size=f"{snapshot.nbytes / MB:.1f} MB")
    elif keeps and len(finished.block_ids) > 1:
        sentence = message("cache.too_large", size=f"{size / MB:.0f} MB")
    elif handed_over:
        sentence = message("cache.latents")
    if handed_over:
        return stored._replace(live=live), [sentence, message("cache.handed_over")]
    return stored, [sentence]
