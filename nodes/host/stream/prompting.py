"""The prompts of a stream, from one CONDITIONING or from a schedule."""

from collections.abc import Callable
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ....causvid_core import Recipe
from ....causvid_core.prompts.blending import INTERPOLATIONS
from ....causvid_core.prompts.entries import SCENE_SECONDS, Defaults
from ....causvid_core.prompts.layout import EncodedSchedule
from ....causvid_core.prompts.schedule_errors import ScheduleError
from ....causvid_core.stream.prompt_cache import PromptPlan
from ....causvid_core.stream.segment import SWITCHES
from ....causvid_core.stream.state import StreamState
from ..schema import CausVidPrompts
from .conditioning import check_width, plain_prompt, text_context


def stream_prompts(
    positive: list[list[Any]] | None,
    prompts: EncodedSchedule | None,
    recipe: Recipe,
    text_dim: int,
    stream: StreamState | None = None,
) -> Tensor | PromptPlan:
    """What `rollout` takes as its context: `[B, l, text_dim]`, or the schedule's plan.

    recipe: that of the stream, whose blocks the schedule is laid over. stream: the one to be
    lengthened; see `EncodedSchedule.plan`. Raises ValueError unless
    exactly one of `positive` (CONDITIONING) and `prompts` (CAUSVID_PROMPTS) is connected and
    fits the model.
    """
    if positive is not None and prompts is not None:
        raise ValueError(
            "Both positive and prompts are connected; a stream follows one of them: disconnect "
            "positive to follow the schedule, or prompts to keep one prompt throughout."
        )
    if prompts is not None:
        for context in prompts.contexts:
            check_width(context, text_dim)
        return prompts.plan(recipe, stream)
    if positive is not None:
        return text_context(positive, text_dim)
    raise ValueError(
        "There is no prompt; connect CLIP Text Encode to positive, or CausVid Prompt Schedule "
        "to prompts."
    )


def prompt_batch(prompts: Tensor | PromptPlan) -> int:
    """Videos that the result of `stream_prompts` holds prompts for; one prompt serves any."""
    return prompts.shape[0] if isinstance(prompts, Tensor) else prompts.batch


def encode(clip: Any, text: str) -> Tensor:
    """The embedding `[1, l, text_dim]` of a text, as CLIP Text Encode makes it."""
    if clip is None:
        raise ValueError(
            "CLIP is empty: the loaded checkpoint brings no text encoder; load one with Load CLIP "
            "(umt5_xxl with type wan for Wan 2.1)."
        )
    embedding = plain_prompt(clip.encode_from_tokens_scheduled(clip.tokenize(text)))
    if embedding is None:
        raise ValueError("CLIP gave no embedding; use the text encoder that belongs to the MODEL.")
    return embedding


def understood(prompts: EncodedSchedule) -> str:
    """What a schedule comes to, for the artist, with the blocks that most checkpoints have."""
    recipe = Recipe()
    heading = f"With {recipe.frames_per_block} latent frames a block:"
    try:
        return f"{heading}\n{prompts.describe(recipe)}"
    except ScheduleError as error:
        return f"{heading}\n{error}"


def schedule_inputs() -> list[Any]:
    """What every schedule has for those of its lines that say nothing; see `Defaults`."""
    return [
        io.Combo.Input(
            "mode",
            options=list(SWITCHES),
            default="recache",
            tooltip=(
                "What happens to what the stream remembers when a prompt takes over, unless its line "
                "says otherwise. carry: nothing, the picture turns to the new prompt by itself. "
                "recache: the memory is rewritten under the new prompt. flush: only the first and the "
                "last frames are kept. cut: a new scene."
            ),
        ),
        io.Float.Input(
            "transition",
            default=0.0,
            min=0.0,
            max=600.0,
            step=0.1,
            tooltip=(
                "Seconds over which one prompt fades into the next, unless its line says otherwise; "
                "rounded up to whole blocks."
            ),
        ),
        io.Combo.Input(
            "interpolation",
            options=list(INTERPOLATIONS),
            default="linear",
            tooltip=(
                "How prompts are mixed while they fade, and by weights. linear: the mean. spherical: "
                "along an arc, which keeps the embeddings' strength."
            ),
        ),
        io.Float.Input(
            "scene_seconds",
            default=SCENE_SECONDS,
            min=0.1,
            max=3600.0,
            step=0.1,
            tooltip=("How long after the prompt before it one without a time begins."),
        ),
    ]


def schedule_outputs() -> list[Any]:
    """PROMPTS, and what was understood."""
    return [
        CausVidPrompts.Output(
            "prompts",
            display_name="PROMPTS",
            tooltip=("For prompts of the nodes that make a stream."),
        ),
        io.String.Output(
            "understood",
            display_name="TEXT",
            tooltip=("What was understood: which blocks each prompt comes to."),
        ),
    ]


def check_text(
    read: Callable[[str, float], object], text: str | None, scene_seconds: float | None
) -> bool | str:
    """True, or what `read` says about a text that it cannot read; None is not yet known."""
    if text is None:
        return True
    try:
        defaults = Defaults() if scene_seconds is None else Defaults(scene=scene_seconds)
        read(text, defaults.scene)
    except ValueError as error:
        return str(error)
    return True
