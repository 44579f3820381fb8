"""What a render hands to the rollout: the stream to begin with, its prompts, its footage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from ..media.encoding import as_clip, encoded_blocks, fitted
from ..media.fitting import fit
from ..media.footage import footage_file
from ..media.pictures import read_picture
from ..media.wan_stream import WanEncoder
from ..prompts.entries import Defaults
from ..prompts.layout import EncodedSchedule, distinct_texts
from ..prompts.schedule_text import parse_schedule
from ..storage.disk import DiskStore
from ..storage.stream_files import load_stream
from ..stream.geometry import FPS, SPACE_SCALE, latent_size_from_px, px_frames_from_seconds
from ..stream.lengths import blocks_for, px_of
from ..stream.prompt_cache import PromptPlan
from ..stream.rebasing import rebase
from ..stream.rollout import prime, start
from ..stream.state import StreamState
from ..stream.window import WindowPolicy
from .models import Models
from .request import RenderRequest

log = logging.getLogger("causvid")

USUAL_SECONDS = 4.0


class Plan(NamedTuple):
    """px_frames: how many are wanted; the blocks that make them may make a few more.

    surplus: px frames at the end that only repeat the footage's last frame and are not written.
    """

    state: StreamState
    context: Tensor | PromptPlan
    blocks: int
    px_frames: int
    source: Iterator[Tensor] | None
    surplus: int = 0


def plan_render(request: RenderRequest, models: Models, store: DiskStore) -> Plan:
    """The plan of a request. Latents of a resumed stream go to `store`.

    Raises ValueError or OSError in a sentence.
    """
    if request.resume is not None and request.image is not None:
        raise ValueError("--image begins a video, --resume continues one; leave one of them out")
    resumed = request.resume is not None
    state = _resumed(request, models, store) if resumed else _started(request, models)
    context = _context(request, models, state)
    px_frames = request.px_frames
    if request.image is not None:
        state = _with_picture(request, models, state, context)
        # The picture's own frames are part of the length.
        usual = px_frames_from_seconds(USUAL_SECONDS)
        px_frames = max(1, (px_frames or usual) - state.px_frames)
    source, surplus = None, 0
    if request.video is not None:
        footage = footage_file(request.video, FPS)
        log.info("footage: %s", footage.text)
        skipped = round(request.video_from * FPS)
        left = footage.px_frames - skipped
        if left < 1:
            raise ValueError(
                f"the footage ends after {footage.px_frames / FPS:g} s; choose an earlier "
                "--video-from"
            )
        px_frames = min(px_frames or left, left)
        made = px_of(state.policy, state.blocks, blocks_for(state, px_frames))
        surplus = max(0, made - left)
        frames = fitted(footage.read(skipped), *_px_size(state), request.fit)
        source = encoded_blocks(lambda: WanEncoder(models.vae), frames, state)
    px_frames = px_frames or px_frames_from_seconds(USUAL_SECONDS)
    return Plan(state, context, blocks_for(state, px_frames), px_frames, source, surplus)


def _started(request: RenderRequest, models: Models) -> StreamState:
    preset = models.preset
    width, height = map(latent_size_from_px, request.px_size or (preset.width, preset.height))
    return start(preset.recipe, models.model, height=height, width=width, seed=request.seed)


def _resumed(request: RenderRequest, models: Models, store: DiskStore) -> StreamState:
    assert request.resume is not None
    size, state = request.px_size, load_stream(request.resume, store)
    if state.batch != 1 or not state.blocks:
        raise ValueError(
            f"{request.resume.name} holds {state.batch} videos of {state.blocks} blocks; only a "
            "single video of at least one block can be resumed"
        )
    if size is not None and size != _px_size(state):
        raise ValueError("the stream is {}x{} px; leave --size out".format(*_px_size(state)))
    recipe = state.recipe if request.recipe is None else models.preset.recipe
    rebased = rebase(state, models.model, recipe)
    changed = (rebased.model, rebased.recipe) != (state.model, state.recipe)
    if changed and not request.allow_changes:
        raise ValueError(
            "the stream was made with another model or recipe; give the same --checkpoint, "
            "--lora, --dtype and --recipe, or --allow-changes to continue it with these"
        )
    return rebased


def _context(request: RenderRequest, models: Models, state: StreamState) -> Tensor | PromptPlan:
    if request.text is None:
        if not state.blocks:
            raise ValueError("there is no prompt; give --prompt or --schedule")
        return state.history[-1].context
    if request.schedule is None:
        return models.encode(request.text)
    entries = parse_schedule(request.text)
    embeddings = {text: models.encode(text) for text in distinct_texts(entries)}
    return EncodedSchedule(entries, embeddings, Defaults(request.mode)).plan(state.recipe, state)


def _with_picture(
    request: RenderRequest, models: Models, state: StreamState, context: Tensor | PromptPlan
) -> StreamState:
    """The stream with the picture as its first block, which stands still."""
    assert request.image is not None
    frame = fit(read_picture(request.image)[None], *_px_size(state), request.fit)
    still = px_of(WindowPolicy.of(state.recipe), 0, 1)
    latents = WanEncoder(models.vae).encode_all(as_clip(frame.expand(still, -1, -1, -1)))
    return prime(models.model, state, context, latents)


def _px_size(state: StreamState) -> tuple[int, int]:
    """Width and height in px."""
    return state.width * SPACE_SCALE, state.height * SPACE_SCALE
