"""What a stream is made from: one CONDITIONING, or a schedule of prompts."""

from typing import Any

from torch import Tensor

from ....causvid_core import Recipe
from ....causvid_core.prompts import EncodedSchedule
from ....causvid_core.stream import PromptPlan, StreamState
from ..messages import message
from .conditioning import check_width, plain_prompt
from .problems import translated_problems


def stream_prompts(
    positive: list[list[Any]] | None,
    prompts: EncodedSchedule | None,
    recipe: Recipe,
    text_dim: int,
    stream: StreamState | None = None,
) -> Tensor | PromptPlan:
    """What `rollout` takes as its context: `[B, l, text_dim]`, or the schedule's plan.

    recipe: that of the stream, whose blocks the schedule is laid over. stream: the one to be
    lengthened; see `EncodedSchedule.plan`. Raises ValueError unless exactly one of `positive`
    (CONDITIONING) and `prompts` (CAUSVID_PROMPTS) is connected and fits the model.
    """
    if positive is not None and prompts is not None:
        raise ValueError(message("prompt.two"))
    if prompts is not None:
        for context in prompts.contexts:
            check_width(context, text_dim)
        with translated_problems():
            return prompts.plan(recipe, stream)
    if positive is not None:
        embedding = plain_prompt(positive)
        check_width(embedding, text_dim)
        return embedding
    raise ValueError(message("prompt.none"))


def prompt_batch(prompts: Tensor | PromptPlan) -> int:
    """Videos that the result of `stream_prompts` holds prompts for; one prompt serves any."""
    return prompts.shape[0] if isinstance(prompts, Tensor) else prompts.batch
