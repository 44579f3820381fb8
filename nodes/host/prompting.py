"""The prompts of a stream, from one CONDITIONING or from a schedule."""

from typing import Any

from torch import Tensor

from ...causvid_core import Recipe
from ...causvid_core.stream.prompts import PromptPlan
from ...causvid_core.stream.state import StreamState
from ...causvid_core.stream.timeline import PromptTimeline
from .conditioning import check_width, text_context


def stream_prompts(
    positive: list[list[Any]] | None,
    prompts: PromptTimeline | None,
    recipe: Recipe,
    text_dim: int,
    stream: StreamState | None = None,
) -> Tensor | PromptPlan:
    """What `rollout` takes as its context: `[B, l, text_dim]`, or the schedule's plan.

    recipe: that of the stream, whose blocks the schedule is laid over. stream: the one to be
    lengthened; see `PromptTimeline.plan`. Raises ValueError unless
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
