"""A prompt schedule with its embeddings, laid over the blocks of a recipe."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ..model.prompt import real_rows
from ..stream import geometry
from ..stream.recipe import Recipe
from ..stream.segment import CARRY
from ..stream.state import StreamState
from ..stream.window import WindowPolicy
from .blending import INTERPOLATIONS, blend, check_together
from .entries import Defaults, Entry, first_px, lay_out, placement_of

_KEPT = 8
"""Mixed contexts that are kept; any other is mixed again, to the same values."""


@dataclass(frozen=True, eq=False)
class EncodedSchedule:
    """Entries, and for every text in them its context [B or 1, l, text_dim].

    Times count from the beginning of the stream, whichever node renders it. Raises ValueError for
    a text without a context, or contexts that do not go together.
    """

    entries: tuple[Entry, ...]
    embeddings: Mapping[str, Tensor]
    defaults: Defaults = Defaults()
    interpolation: str = INTERPOLATIONS[0]

    def __post_init__(self) -> None:
        if not self.entries:
            raise ValueError("the schedule has no scene; give it at least one prompt")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation is {self.interpolation!r}; choose one of "
                f"{', '.join(INTERPOLATIONS)}"
            )
        trimmed = {text: _trimmed(self.embeddings[text]) for text in distinct_texts(self.entries)}
        object.__setattr__(self, "embeddings", trimmed)
        check_together(self.contexts)

    @property
    def contexts(self) -> tuple[Tensor, ...]:
        """The context of every distinct text."""
        return tuple(self.embeddings.values())

    def plan(self, recipe: Recipe, state: StreamState | None = None) -> ScheduledPrompts:
        """The prompt of every block.

        state: the stream to be extended. If its last block followed another prompt, the entry that
        is due takes over with its mode, even if its own beginning has passed. Raises ScheduleError
        when times in blocks and in seconds do not rise.
        """
        plan = ScheduledPrompts(self, recipe)
        if state is not None and state.blocks:
            before, following = state.history[-1].context, _trimmed(plan.at(state.blocks))
            same = before.shape[1] == following.shape[1] and bool((before == following.cpu()).all())
            plan = plan if same else ScheduledPrompts(self, recipe, state.blocks)
        return plan

    def describe(self, recipe: Recipe) -> str:
        """Which blocks of a recipe each entry covers, one line each, for the artist."""
        policy = WindowPolicy.of(recipe)
        placements = lay_out(self.entries, policy, self.defaults)
        seen = {placed.entry: placed for placed in placements}
        lines = []
        for number, entry in enumerate(self.entries):
            text = " | ".join(text for text, _ in entry.prompts)
            if number not in seen:
                lines.append(f"never seen, the next scene begins in the same block: {text}")
                continue
            placed = seen[number]
            seconds = geometry.seconds_from_px(first_px(policy, placed.first))
            parts = [f"block {placed.first} ({seconds:.2f} s)"]
            if placed.fading:
                parts.append(f"fading in over {_count(placed.fading)}")
            if placed.fading < placed.asked:
                parts.append(f"shortened from {_count(placed.asked)} by the next scene")
            if placed is not placements[0]:
                parts.append(placed.mode)
            lines.append(f"{', '.join(parts)}: {text}")
        return "\n".join(lines)


class ScheduledPrompts:
    """A `PromptPlan`. Blocks before the first entry follow it too.

    Equal prompts are one tensor, so that the model embeds them once; mixed ones are made when they
    are asked for. takes_over: the block before which another prompt was in force, if any.
    """

    def __init__(
        self, schedule: EncodedSchedule, recipe: Recipe, takes_over: int | None = None
    ) -> None:
        self._schedule, self._takes_over = schedule, takes_over
        self._placements = lay_out(schedule.entries, WindowPolicy.of(recipe), schedule.defaults)
        self._mixed: OrderedDict[Hashable, Tensor] = OrderedDict()

    @cached_property
    def batch(self) -> int:
        """Videos that the prompts are for."""
        return max(context.shape[0] for context in self._schedule.contexts)

    def at(self, block_index: int) -> Tensor:
        """Context [B or 1, l, text_dim] of a block."""
        number = placement_of(self._placements, block_index)
        placed = self._placements[number]
        whole = self._whole(placed.entry)
        step = block_index - placed.first
        if number == 0 or step >= placed.fading:
            return whole
        before = self._whole(self._placements[number - 1].entry)
        share = (step + 1) / (placed.fading + 1)
        return self._kept((number, step), (before, whole), (1 - share, share))

    def switch(self, block_index: int) -> str:
        """The mode to apply before a block: an entry's, at the first block that is all its own.

        The first entry has none, unless it takes over from another prompt.
        """
        number = placement_of(self._placements, block_index)
        placed = self._placements[number]
        own = placed.first + placed.fading
        begins = number > 0 and block_index == own
        fading = placed.first <= block_index < own
        taken_over = block_index == self._takes_over and not fading
        return placed.mode if begins or taken_over else CARRY

    def _whole(self, entry: int) -> Tensor:
        """The context of an entry without any fade."""
        prompts = self._schedule.entries[entry].prompts
        contexts = [self._schedule.embeddings[text] for text, _ in prompts]
        if len(contexts) == 1:
            return contexts[0]
        weights = [float(weight) for _, weight in prompts]
        return self._kept(prompts, contexts, weights)

    def _kept(self, key: Hashable, contexts: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """The contexts mixed, made only once while it is kept, by any thread."""
        # Taken out and put back last: whatever another thread drops meanwhile, this one has it.
        mixed = self._mixed.pop(key, None)
        if mixed is None:
            mixed = blend(contexts, weights, self._schedule.interpolation)
        self._mixed[key] = mixed
        with suppress(KeyError):  # when others have dropped the last ones
            while len(self._mixed) > _KEPT:
                self._mixed.popitem(last=False)
        return mixed


def distinct_texts(entries: Iterable[Entry]) -> list[str]:
    """Every text of the entries once, in order: what has to be encoded."""
    return list(dict.fromkeys(text for entry in entries for text, _ in entry.prompts))


def _trimmed(context: Tensor) -> Tensor:
    """The context without the padding that all its samples share, since a story may hold many."""
    if context.ndim != 3:
        raise ValueError(
            f"a prompt has shape {tuple(context.shape)}; expected (videos, tokens, text_dim)"
        )
    rows = max(1, int(real_rows(context).max()))
    return context if rows >= context.shape[1] else context[:, :rows].clone()


def _count(blocks: int) -> str:
    return "1 block" if blocks == 1 else f"{blocks} blocks"
