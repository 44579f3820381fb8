"""`EncodedSchedule`: a prompt schedule with its embeddings, laid over the blocks of a recipe."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ..model.prompt import real_rows
from ..stream import geometry
from ..stream.recipe import Recipe
from ..stream.segment import CARRY
from ..stream.state import StreamState
from ..stream.window import WindowPolicy
from .blending import INTERPOLATIONS, blend
from .entries import Defaults, Entry, Placement, first_px, lay_out, ruling

_KEPT = 8
"""Mixed contexts that a plan keeps; any other is mixed again, to the same values."""


@dataclass(frozen=True, eq=False)
class EncodedSchedule:
    """Scenes and the context [B or 1, l, text_dim] of every text in them.

    Times count from the beginning of the stream, whichever node renders it. Raises ValueError for
    a text without context, or contexts that do not go together.
    """

    entries: tuple[Entry, ...]
    texts: Mapping[str, Tensor]
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
        trimmed = {text: _trimmed(self.texts[text]) for text in distinct_texts(self.entries)}
        object.__setattr__(self, "texts", trimmed)
        if len({context.shape[2] for context in self.contexts}) > 1:
            raise ValueError(
                "the prompts have embeddings of different width; encode all of them with one "
                "text encoder"
            )
        if len(batches := {context.shape[0] for context in self.contexts} - {1}) > 1:
            raise ValueError(
                f"the prompts are for {' and '.join(map(str, sorted(batches)))} videos; give "
                "each one prompt or as many as the others"
            )

    @property
    def contexts(self) -> tuple[Tensor, ...]:
        """The context of every distinct text."""
        return tuple(self.texts.values())

    def plan(self, recipe: Recipe, state: StreamState | None = None) -> ScheduledPrompts:
        """The prompt of every block.

        state: the stream that it will lengthen. Where another prompt was in force there, the
        entry that rules next takes over with its mode, although it began earlier. Raises
        ScheduleError where blocks and seconds do not rise.
        """
        plan = ScheduledPrompts(self, recipe)
        if state is not None and state.blocks:
            before, following = state.history[-1].context, _trimmed(plan.at(state.blocks))
            same = before.shape[1] == following.shape[1] and bool((before == following.cpu()).all())
            plan = plan if same else ScheduledPrompts(self, recipe, state.blocks)
        return plan

    def describe(self, recipe: Recipe) -> str:
        """What the schedule comes to with a recipe, a line an entry."""
        plan = WindowPolicy.of(recipe)
        placements = lay_out(self.entries, plan, self.defaults)
        seen = {placed.entry: placed for placed in placements}
        lines = []
        for number, entry in enumerate(self.entries):
            text = " | ".join(text for text, _ in entry.prompts)
            if number not in seen:
                lines.append(f"never seen, the next scene begins in the same block: {text}")
                continue
            placed = seen[number]
            seconds = geometry.seconds_from_px(first_px(plan, placed.first))
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
    """A `PromptPlan`: blocks before the first entry are made of it too.

    One prompt is one tensor, so that it is embedded once; mixed ones are made when asked for.
    takes_over: the block before which another prompt was in force, if any.
    """

    def __init__(
        self, timeline: EncodedSchedule, recipe: Recipe, takes_over: int | None = None
    ) -> None:
        self._timeline, self._takes_over = timeline, takes_over
        self._placements = lay_out(timeline.entries, WindowPolicy.of(recipe), timeline.defaults)
        self._mixed: OrderedDict[Hashable, Tensor] = OrderedDict()

    @cached_property
    def batch(self) -> int:
        """Videos that the prompts are for."""
        return max(context.shape[0] for context in self._timeline.contexts)

    def at(self, block_index: int) -> Tensor:
        """Context [B or 1, l, text_dim] of a block."""
        number = ruling(self._placements, block_index)
        placed = self._placements[number]
        whole = self._whole(placed.entry)
        step = block_index - placed.first
        if number == 0 or step >= placed.fading:
            return whole
        before = self._whole(self._placements[number - 1].entry)
        share = (step + 1) / (placed.fading + 1)
        return self._remembered(
            (number, step), lambda: self._blend((before, whole), (1 - share, share))
        )

    def switch(self, block_index: int) -> str:
        """Mode to apply before a block: an entry's, before the first block that is wholly its.

        The first entry has none, unless it takes over from another prompt.
        """
        number = ruling(self._placements, block_index)
        placed = self._placements[number]
        own = placed.first + placed.fading
        begins = number > 0 and block_index == own
        return placed.mode if begins or self._taken_over(block_index, placed) else CARRY

    def _taken_over(self, block: int, placed: Placement) -> bool:
        fading = placed.first <= block < placed.first + placed.fading
        return block == self._takes_over and not fading

    def _whole(self, entry: int) -> Tensor:
        """The context of an entry without any fade."""
        prompts = self._timeline.entries[entry].prompts
        contexts = [self._timeline.texts[text] for text, _ in prompts]
        if len(contexts) == 1:
            return contexts[0]
        weights = [float(weight) for _, weight in prompts]
        return self._remembered(prompts, lambda: self._blend(contexts, weights))

    def _blend(self, contexts: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        return blend(contexts, weights, self._timeline.interpolation)

    def _remembered(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        if key not in self._mixed:
            self._mixed[key] = make()
        self._mixed.move_to_end(key)
        while len(self._mixed) > _KEPT:
            self._mixed.popitem(last=False)
        return self._mixed[key]


def distinct_texts(entries: Iterable[Entry]) -> list[str]:
    """Every text of the entries once, in order: what has to be encoded."""
    return list(dict.fromkeys(text for entry in entries for text, _ in entry.prompts))


def _trimmed(context: Tensor) -> Tensor:
    """The context without the padding that all samples share; a story may hold many."""
    if context.ndim != 3:
        raise ValueError(
            f"a prompt has shape {tuple(context.shape)}; expected (videos, tokens, text_dim)"
        )
    rows = max(1, int(real_rows(context).max()))
    return context if rows >= context.shape[1] else context[:, :rows].clone()


def _count(blocks: int) -> str:
    return "1 block" if blocks == 1 else f"{blocks} blocks"
