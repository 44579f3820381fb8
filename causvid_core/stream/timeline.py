"""`PromptTimeline`: a prompt schedule with its embeddings, laid over the blocks of a recipe."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ..model.prompt import real_rows
from . import geometry
from .blend import INTERPOLATIONS, blend
from .plan import Plan
from .recipe import Recipe
from .scenes import Defaults, Scene, first_px, lay_out, ruling

_KEPT = 8
"""Mixed contexts that a plan keeps; any other is mixed again, to the same values."""


@dataclass(frozen=True, eq=False)
class PromptTimeline:
    """Scenes and the context [B or 1, l, text_dim] of every text in them.

    Times count from the beginning of the stream, whichever node renders it. Raises ValueError for
    a text without context, or contexts that do not go together.
    """

    scenes: tuple[Scene, ...]
    texts: Mapping[str, Tensor]
    defaults: Defaults = Defaults()
    interpolation: str = INTERPOLATIONS[0]

    def __post_init__(self) -> None:
        if not self.scenes:
            raise ValueError("the schedule has no scene; give it at least one prompt")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation is {self.interpolation!r}; choose one of "
                f"{', '.join(INTERPOLATIONS)}"
            )
        trimmed = {text: _trimmed(self.texts[text]) for text in distinct_texts(self.scenes)}
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

    def plan(self, recipe: Recipe) -> TimelinePlan:
        """The prompt of every block. TimelineError where blocks and seconds do not rise."""
        return TimelinePlan(self, recipe)

    def describe(self, recipe: Recipe) -> str:
        """What the schedule comes to with a recipe, a line a scene."""
        plan = Plan.of(recipe)
        placements = lay_out(self.scenes, plan, self.defaults)
        seen = {placed.scene: placed for placed in placements}
        lines = []
        for number, scene in enumerate(self.scenes):
            text = " | ".join(text for text, _ in scene.prompts)
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


class TimelinePlan:
    """A `PromptPlan`: blocks before the first scene are made of it too.

    One prompt is one tensor, so that it is embedded once; mixed ones are made when asked for.
    """

    def __init__(self, timeline: PromptTimeline, recipe: Recipe) -> None:
        self._timeline = timeline
        self._placements = lay_out(timeline.scenes, Plan.of(recipe), timeline.defaults)
        self._mixed: OrderedDict[Hashable, Tensor] = OrderedDict()

    @cached_property
    def batch(self) -> int:
        """Videos that the prompts are for."""
        return max(context.shape[0] for context in self._timeline.contexts)

    def at(self, block_index: int) -> Tensor:
        """Context [B or 1, l, text_dim] of a block."""
        number = ruling(self._placements, block_index)
        placed = self._placements[number]
        whole = self._whole(placed.scene)
        step = block_index - placed.first
        if number == 0 or step >= placed.fading:
            return whole
        before = self._whole(self._placements[number - 1].scene)
        share = (step + 1) / (placed.fading + 1)
        return self._remembered(
            (number, step), lambda: self._blend((before, whole), (1 - share, share))
        )

    def switch(self, block_index: int) -> str:
        """What happens to the window where a block's prompt differs from the one before it."""
        placed = self._placements[ruling(self._placements, block_index)]
        fading = placed.first <= block_index < placed.first + placed.fading
        return "carry" if fading else placed.mode

    def _whole(self, scene: int) -> Tensor:
        """The context of a scene without any fade."""
        prompts = self._timeline.scenes[scene].prompts
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


def distinct_texts(scenes: Iterable[Scene]) -> list[str]:
    """Every text of the scenes once, in order: what has to be encoded."""
    return list(dict.fromkeys(text for scene in scenes for text, _ in scene.prompts))


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
