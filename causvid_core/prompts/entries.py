"""Scenes of a prompt schedule: when each begins, and which blocks it comes to. Plain numbers."""

from __future__ import annotations

import functools
import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from ..stream import geometry
from ..stream.segment import CARRY, SWITCHES
from ..stream.window import WindowPolicy

SCENE_SECONDS = 5.0
"""How long after the entry before it one without a time begins."""

_FPS = Fraction(geometry.FPS)


class ScheduleError(ValueError):
    """A schedule that cannot be read.

    key and values select and complete a sentence of schedule_errors.json, which the timeline in
    the browser shares. line and column count from 1; text is what stands there.
    """

    def __init__(
        self, key: str, line: int, column: int, text: str = "", **values: str | int
    ) -> None:
        sentences = _sentences()
        problem = sentences[key].format(text=_short(text), **values)
        super().__init__(sentences["place"].format(line=line, column=column, problem=problem))
        self.key, self.values = key, values
        self.line, self.column, self.text = line, column, text


class Moment(NamedTuple):
    """A time or a length as typed. unit: "s", "clock" (also seconds), "f" px frames, "b" blocks."""

    amount: Fraction
    unit: str

    @classmethod
    def seconds(cls, seconds: float) -> Moment:
        """`seconds` seconds."""
        return cls(Fraction(seconds).limit_denominator(10**6), "s")

    def px(self, policy: WindowPolicy | None) -> Fraction | None:
        """Where it lies in px frames; blocks need a policy, without one they give None."""
        if self.unit in ("s", "clock"):
            return self.amount * _FPS
        if self.unit == "f" or not self.amount:
            return self.amount
        return None if policy is None else Fraction(first_px(policy, int(self.amount)))


@dataclass(frozen=True)
class Entry:
    """One line of a schedule: what is seen from `start` on.

    start: None follows the entry before. prompts: texts with their weights. transition: length of
    the fade from the entry before. transition and mode are the schedule's default where None.
    comment stands behind the entry, above are the comment lines before it; line and column say
    where it was read.
    """

    start: Moment | None
    prompts: tuple[tuple[str, Fraction], ...]
    transition: Moment | None = None
    mode: str | None = None
    comment: str = ""
    above: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)
    column: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Defaults:
    """What a schedule's entries have where they say nothing.

    mode: one of SWITCHES. transition and scene in seconds: the fade, and how long after an entry
    one without a time begins. Raises ValueError for a value out of range.
    """

    mode: str = CARRY
    transition: float = 0.0
    scene: float = SCENE_SECONDS

    def __post_init__(self) -> None:
        if self.mode not in SWITCHES:
            raise ValueError(f"mode is {self.mode!r}; choose one of {', '.join(SWITCHES)}")
        if not 0 <= self.transition < math.inf:
            raise ValueError(f"the transition is {self.transition} s; expected 0 or more")
        if not 0 < self.scene < math.inf:
            raise ValueError(f"scenes last {self.scene} s; expected more than 0")


class Placement(NamedTuple):
    """An entry on a recipe's blocks.

    It begins with block `first`; `fading` blocks are mixed with the entry before, of which
    `asked` were asked for; the block after them is the first of its own, where `mode` applies.
    """

    entry: int
    first: int
    fading: int
    asked: int
    mode: str


def block_of(policy: WindowPolicy, px_frame: int) -> int:
    """The block that makes px frame `px_frame`, counted from 0."""
    return policy.blocks_for(0, geometry.latent_frames_from_px(px_frame + 1)) - 1


def first_px(policy: WindowPolicy, block: int) -> int:
    """First px frame, counted from 0, that block `block` makes."""
    latent = policy.span(block).first
    return geometry.px_frames_from_latent(latent) if latent else 0


def lay_out(
    entries: Sequence[Entry], policy: WindowPolicy, defaults: Defaults
) -> tuple[Placement, ...]:
    """The entries that are seen, in order, on the blocks of a policy.

    A entry begins with the block that makes its first px frame; of several in one block the last
    is seen. A fade covers every block with a px frame in it, but leaves a block of its own to
    each entry; a cut has none. Raises ScheduleError where times in blocks and times in seconds
    turn out not to rise.
    """
    starts = _starts(entries, policy, defaults)
    blocks = [block_of(policy, start) for start in starts]
    placed: list[Placement] = []
    for number, (entry, start, first) in enumerate(zip(entries, starts, blocks, strict=True)):
        following = blocks[number + 1] if number + 1 < len(blocks) else None
        if following == first:
            continue
        mode = entry.mode or defaults.mode
        asked = 0
        if placed and mode != "cut":
            asked = _fading(entry.transition or Moment.seconds(defaults.transition), start, policy)
        room = asked if following is None else following - first - 1
        placed.append(Placement(number, first, min(asked, room), asked, mode))
    return tuple(placed)


def ruling(placements: Sequence[Placement], block: int) -> int:
    """Which placement makes block `block`: the last that has begun, else the first."""
    return max(0, bisect_right(placements, block, key=lambda placed: placed.first) - 1)


def _starts(entries: Sequence[Entry], policy: WindowPolicy, defaults: Defaults) -> list[int]:
    """First px frame of every entry."""
    positions: list[Fraction] = []
    for number, entry in enumerate(entries):
        before = positions[-1] if positions else None
        if entry.start is not None:
            position = entry.start.px(policy)
        elif before is None:
            position = Fraction(0)
        else:
            position = before + Moment.seconds(defaults.scene).px(policy)
        if before is not None and position <= before:
            raise ScheduleError(
                "order",
                entry.line,
                entry.column,
                size=policy.frames_per_block,
                frame=math.floor(position),
                before=entries[number - 1].line,
                previous=math.floor(before),
            )
        positions.append(position)
    return [math.floor(position) for position in positions]


def _fading(length: Moment, start: int, policy: WindowPolicy) -> int:
    """Blocks that a fade of `length` from px frame `start` on touches."""
    if length.unit == "b":
        return int(length.amount)
    px_frames = math.ceil(length.px(policy))
    if not px_frames:
        return 0
    return block_of(policy, start + px_frames - 1) - block_of(policy, start) + 1


@functools.cache
def _sentences() -> dict[str, str]:
    """What a ScheduleError says, by key."""
    return json.loads(Path(__file__).with_name("schedule_errors.json").read_text("utf-8"))


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
