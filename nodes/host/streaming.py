"""What every node that makes a stream does: start or go on, count, roll out, tell, hand over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...causvid_core import BoundWan, Recipe, start
from ...causvid_core.stream import geometry
from ...causvid_core.stream.prompts import PromptPlan
from ...causvid_core.stream.state import StreamState
from .conditioning import text_context
from .inputs import StreamOptions
from .notice import show
from .rendering import continue_stream, to_latent
from .sampling import bind_model
from .streams import cache_note, continuable, count_blocks, default_recipe


@dataclass(frozen=True)
class OpenStream:
    """A stream that a node is about to lengthen; `dataclasses.replace` puts a primed state in.

    context: the prompt `[B or 1, l, text_dim]`, or a plan of prompts.
    """

    model: ModelPatcher
    bound: BoundWan
    state: StreamState
    context: Tensor | PromptPlan
    options: StreamOptions


def open_stream(
    model: ModelPatcher,
    *,
    width: int,
    height: int,
    seed: int,
    positive: list | None = None,
    prompts: Any = None,
    recipe: Recipe | None = None,
    stream: StreamState | None = None,
    options: StreamOptions | None = None,
) -> OpenStream:
    """A new stream of `width` x `height` px, or the connected one, which is never changed.

    Raises ValueError, in the artist's words, for a model, prompt or size that does not fit.
    """
    bound = bind_model(model)
    size = (geometry.latent_size_from_px(height), geometry.latent_size_from_px(width))
    if stream is None:
        recipe = recipe or default_recipe(model)
    context = _context(positive, prompts, recipe or stream.recipe, bound.config.text_dim)
    batch = (context if isinstance(context, Tensor) else context.at(0)).shape[0]
    if stream is None:
        state = start(recipe, bound, height=size[0], width=size[1], batch=batch, seed=seed)
    else:
        state = continuable(stream, bound, recipe, size, batch)
    return OpenStream(model, bound, state, context, options or StreamOptions())


def lengthen(
    opened: OpenStream,
    *,
    seconds: float,
    px_frames: int = 0,
    source: Tensor | Iterable[Tensor] | None = None,
    strength: float | Callable[[int], float] = 1.0,
) -> io.NodeOutput:
    """Roll the stream out by `px_frames` px frames, or by `seconds` where that is 0.

    Rounded up to whole blocks, with a notice. source, strength: see `rollout`; the stream ends
    where its source ends. Returns STREAM and LATENT; nothing stays on the device.
    """
    state = opened.state
    px_frames = px_frames or geometry.px_frames_from_seconds(seconds)
    blocks, text = count_blocks(state, px_frames)
    show(text)
    state = continue_stream(
        opened.model, opened.bound, state, opened.context, blocks, source, strength
    )
    show(f"{text}. {cache_note(state)}")
    return io.NodeOutput(state, to_latent(opened.model, state))


def _context(
    positive: list | None, prompts: Any, recipe: Recipe, text_dim: int
) -> Tensor | PromptPlan:
    if positive is None:
        raise ValueError("There is no prompt; connect CLIP Text Encode to positive.")
    return text_context(positive, text_dim)
