"""What the next blocks of a stream will be, before any is made."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..model.binding import BoundWan
from .geometry import TIME_SCALE
from .lengths import px_of
from .prompt_cache import PromptPlan, Prompts
from .segment import CARRY, starts_afresh
from .state import StreamState
from .window import WindowPolicy


def switches_ahead(
    bound: BoundWan, state: StreamState, context: Tensor | PromptPlan, switch: str, blocks: int
) -> list[str]:
    """The mode (see `segment`) that a `rollout` with these arguments applies before each block."""
    prompts, first = Prompts(bound, state.batch, context, switch), state.blocks
    before = state.history[-1].context if first else None
    # What comes before later blocks: a plan does not look at it, and a single prompt stays itself.
    own = prompts.context(first)
    switches, pending = [], state.switch
    for block in range(first, first + blocks):
        switches.append(prompts.switch(block, before, pending))
        before, pending = own, CARRY
    return switches


def steps_ahead(state: StreamState, switches: Sequence[str]) -> list[int]:
    """Denoising steps of each of the next blocks, which a segment's first may have more of."""
    segment, steps = state.segment, []
    for block, switch in enumerate(switches, state.blocks):
        segment = segment.before(block, switch)
        steps.append(len(state.recipe.schedule(segment.place(block)).timesteps))
    return steps


def px_ahead(state: StreamState, switches: Sequence[str]) -> int:
    """Px frames that the next blocks decode to."""
    cuts = sum(
        1 for block, switch in enumerate(switches, state.blocks) if block and starts_afresh(switch)
    )
    px = px_of(WindowPolicy.of(state.recipe), state.blocks, len(switches))
    return px - cuts * (TIME_SCALE - 1)
