"""Nodes that schedule prompts: their shared inputs and outputs, and what they give."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ....causvid_core import Recipe
from ....causvid_core.prompts import (
    INTERPOLATIONS,
    SCENE_SECONDS,
    Defaults,
    EncodedSchedule,
    Entry,
    ScheduleError,
    distinct_texts,
    parse_schedule,
)
from ....causvid_core.stream import SWITCHES
from ..messages import message
from ..notice import show
from ..schema import CausVidPrompts, verdict
from .conditioning import plain_prompt
from .problems import problem_text, translated_problems


def schedule_inputs() -> list[Any]:
    """What a schedule does with lines that say nothing about it; see `Defaults`."""
    return [
        io.Combo.Input("mode", options=list(SWITCHES), default="recache"),
        io.Float.Input("transition", default=0.0, min=0.0, max=600.0, step=0.1),
        io.Combo.Input("interpolation", options=list(INTERPOLATIONS), default="linear"),
        io.Float.Input("scene_seconds", default=SCENE_SECONDS, min=0.1, max=3600.0, step=0.1),
    ]


def schedule_outputs() -> list[Any]:
    """PROMPTS, and how the schedule was read."""
    return [CausVidPrompts.Output("prompts"), io.String.Output("understood")]


def check_text(
    read: Callable[[str, float], object], text: str | None, scene_seconds: float | None
) -> bool | str:
    """True, or what `read` says about a text that it cannot read; None is not yet known."""
    seconds = SCENE_SECONDS if scene_seconds is None else scene_seconds
    return text is None or verdict(translated_problems()(read), text, Defaults(scene=seconds).scene)


def schedule_of_text(
    clip: Any, text: str, scene_seconds: float
) -> tuple[Sequence[Entry], dict[str, Tensor]]:
    """Entries of a schedule's text, and the embedding of each distinct prompt in it."""
    with translated_problems():
        entries = parse_schedule(text, scene_seconds)
    return entries, {prompt: encode(clip, prompt) for prompt in distinct_texts(entries)}


def schedule_output(
    entries: Sequence[Entry],
    contexts: Mapping[str, Tensor],
    *,
    mode: str,
    transition: float,
    interpolation: str,
    scene_seconds: float,
) -> io.NodeOutput:
    """The outputs of `schedule_outputs`; shows how the schedule was read."""
    defaults = Defaults(mode, transition, scene_seconds)
    with translated_problems():
        prompts = EncodedSchedule(entries, contexts, defaults, interpolation)
    text = layout_text(prompts)
    show(text)
    return io.NodeOutput(prompts, text)


def encode(clip: Any, text: str) -> Tensor:
    """The embedding `[1, l, text_dim]` of a text, as CLIP Text Encode makes it."""
    if clip is None:
        raise ValueError(message("clip.empty"))
    embedding = plain_prompt(clip.encode_from_tokens_scheduled(clip.tokenize(text)))
    if embedding is None:
        raise ValueError(message("clip.no_embedding"))
    return embedding


def layout_text(prompts: EncodedSchedule) -> str:
    """Which blocks each prompt rules, for the blocks that most checkpoints have."""
    recipe = Recipe()
    heading = message("schedule.heading", latent_frames=recipe.frames_per_block)
    try:
        return f"{heading}\n{prompts.describe(recipe)}"
    except ScheduleError as error:
        return f"{heading}\n{problem_text(error)}"
