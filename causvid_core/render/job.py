"""What a render is asked for: the stream it begins with, its prompts, its footage, its length."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..media.encoding import as_clip, encoded_blocks, fitted
from ..media.fitting import fit
from ..media.footage import footage_file
from ..prompts.entries import Defaults
from ..prompts.layout import EncodedSchedule, distinct_texts
from ..prompts.schedule_text import parse_schedule
from ..storage.disk import DiskStore
from ..storage.stream_files import load_stream
from ..stream.geometry import (
    FPS,
    PX_STEP,
    SPACE_SCALE,
    is_px_size,
    latent_size_from_px,
    px_frames_from_seconds,
)
from ..stream.lengths import blocks_for, px_of
from ..stream.prompt_cache import PromptPlan
from ..stream.rebasing import rebase
from ..stream.rollout import prime, start
from ..stream.state import StreamState
from ..stream.window import WindowPolicy
from .parts import Parts

USUAL_SECONDS = 4.0


class Job(NamedTuple):
    """What `rollout` and `Film` are given. wanted: px frames asked for, of those still to make."""

    state: StreamState
    context: Tensor | PromptPlan
    blocks: int
    wanted: int
    source: Iterator[Tensor] | None


def make_job(arguments: argparse.Namespace, parts: Parts, store: DiskStore) -> Job:
    """The job that the command line describes. Raises ValueError or OSError in a sentence."""
    if arguments.resume is not None and arguments.image is not None:
        raise ValueError("--image begins a video, --resume goes on with one; leave one out")
    state = _begun(arguments, parts, store)
    context = _context(arguments, parts, state)
    wanted = _px_frames(arguments)
    if arguments.image is not None:
        state = _with_picture(arguments, parts, state, context)
        wanted = max(1, (wanted or px_frames_from_seconds(USUAL_SECONDS)) - state.px_frames)
    source = None
    if arguments.video is not None:
        footage = footage_file(arguments.video, FPS)
        skipped = round(arguments.video_from * FPS)
        left = footage.px_frames - skipped
        if left < 1:
            raise ValueError(
                f"the footage ends after {footage.px_frames / FPS:g} s; begin before that with "
                "--video-from"
            )
        wanted = min(wanted or left, left)
        size = (state.width * SPACE_SCALE, state.height * SPACE_SCALE)
        frames = fitted(footage.read(skipped), *size, arguments.fit)
        source = encoded_blocks(parts.encoder, frames, state)
    wanted = wanted or px_frames_from_seconds(USUAL_SECONDS)
    return Job(state, context, blocks_for(state, wanted), wanted, source)


def texts_of(arguments: argparse.Namespace) -> str | None:
    """The prompt or the schedule as it was written."""
    if arguments.schedule is None:
        return arguments.prompt
    try:
        return arguments.schedule.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{arguments.schedule} is not UTF-8; save it as UTF-8") from None


def _begun(arguments: argparse.Namespace, parts: Parts, store: DiskStore) -> StreamState:
    size = _size(arguments.size, parts)
    if arguments.resume is None:
        height, width = (latent_size_from_px(side) for side in reversed(size))
        recipe = parts.preset.recipe
        return start(recipe, parts.model, height=height, width=width, seed=arguments.seed)
    state = load_stream(arguments.resume, store)
    found = (state.width * SPACE_SCALE, state.height * SPACE_SCALE)
    if state.batch != 1 or not state.blocks:
        raise ValueError(
            f"{arguments.resume.name} holds {state.batch} videos of {state.blocks} blocks; "
            "one video with at least one block can be gone on with"
        )
    if arguments.size is not None and size != found:
        raise ValueError(f"the stream is {found[0]}x{found[1]} px; leave --size out")
    recipe = parts.preset.recipe if arguments.recipe is not None else state.recipe
    rebased = rebase(state, parts.model, recipe)
    if (rebased.model, rebased.recipe) != (state.model, state.recipe):
        if not arguments.allow_changes:
            raise ValueError(
                "the stream was made with another model or recipe; give the same --checkpoint, "
                "--lora, --dtype and --recipe, or --allow-changes to go on with these"
            )
    return rebased


def _size(text: str | None, parts: Parts) -> tuple[int, int]:
    """Width and height in px."""
    if text is None:
        return parts.preset.width, parts.preset.height
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise ValueError(f"--size is {text!r}; write it as 832x480")
    width, height = map(int, sides)
    if not is_px_size(width) or not is_px_size(height):
        raise ValueError(f"--size is {text}; use multiples of {PX_STEP}, such as 832x480")
    return width, height


def _context(
    arguments: argparse.Namespace, parts: Parts, state: StreamState
) -> Tensor | PromptPlan:
    text = texts_of(arguments)
    if text is None:
        if not state.blocks:
            raise ValueError("there is no prompt; give --prompt or --schedule")
        return state.history[-1].context
    if arguments.schedule is None:
        return parts.encode(text)
    entries = parse_schedule(text).entries
    contexts = {prompt: parts.encode(prompt) for prompt in distinct_texts(entries)}
    timeline = EncodedSchedule(entries, contexts, Defaults(arguments.mode))
    return timeline.plan(state.recipe, state)


def _px_frames(arguments: argparse.Namespace) -> int | None:
    if arguments.minutes is not None:
        return px_frames_from_seconds(60 * arguments.minutes)
    return None if arguments.seconds is None else px_frames_from_seconds(arguments.seconds)


def _with_picture(
    arguments: argparse.Namespace, parts: Parts, state: StreamState, context: Tensor | PromptPlan
) -> StreamState:
    """The stream with the picture as its first block, which stands still."""
    frame = _picture(arguments.image)[None]
    frame = fit(frame, state.width * SPACE_SCALE, state.height * SPACE_SCALE, arguments.fit)
    still = px_of(WindowPolicy.of(state.recipe), 0, 1)
    latents = parts.encoder().encode(as_clip(frame.expand(still, -1, -1, -1)))
    return prime(parts.model, state, context, latents)


def _picture(path: Path) -> Tensor:
    """`[H, W, 3]` in 0..1."""
    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).astype(np.float32) / 255)
