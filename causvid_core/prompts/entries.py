"""Entries of a prompt schedule: when each begins, and which blocks it covers. Plain numbers.

An artist calls an entry a scene.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from ..stream import geometry
from ..stream.segment import CARRY, SWITCHES
from ..stream.window import WindowPolicy
from .schedule_errors import ScheduleError

SCENE_SECONDS = 5.0
"""How long after the previous entry one without a time begins."""

_FPS = Fraction(geometry.FPS)


class Moment(NamedTuple):
    """A time or a length as typed. unit: "s", "clock" (seconds too), "f" px frames, "b" blocks."""

    amount: Fraction
    unit: str

    @classmethod
    def seconds(cls, seconds: float) -> Moment:
        """`seconds` seconds."""
        return cls(Fraction(seconds).limit_denominator(10**6), "s")

    @property
    def known_px(self) -> Fraction | None:
        """Px frames from the start; None for blocks, whose size depends on the recipe."""
        if self.unit in ("s", "clock"):
            return self.amount * _FPS
        return self.amount if self.unit == "f" or not self.amount else None

    def px(self, policy: WindowPolicy) -> Fraction:
        """Px frames from the start, on the blocks of a policy."""
        known = self.known_px
        return Fraction(first_px(policy, int(self.amount))) if known is None else known


@dataclass(frozen=True)
class Entry:
    """One line of a schedule: what is seen from `start` on.

    start: None to follow the previous entry. prompts: texts with their weights. transition: length
    of the fade from the previous entry. transition and mode: None for the schedule's default.
    line, column: where the entry was read.
    """

    start: Moment | None
    prompts: tuple[tuple[str, Fraction], ...]
    transition: Moment | None = None
    mode: str | None = None
    line: int = field(default=0, compare=False)
    column: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Defaults:
    """What holds for entries that do not say otherwise.

    mode: one of SWITCHES. transition: seconds of the fade. scene: seconds after the previous entry
    at which one without a time begins. Raises ValueError for a value out of range.
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

    It begins with block `first`. `fading` blocks (of the `asked` that the schedule wants) are mixed
    with the previous entry; `mode` applies at the block after them, the first that is all its own.
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

    An entry begins with the block that makes its first px frame; of several in one block the last
    is seen. A fade covers every block that has a px frame in it, but leaves each entry a block of
    its own; a cut has no fade. Raises ScheduleError when times in blocks and times in seconds turn
    out not to rise.
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


def placement_of(placements: Sequence[Placement], block: int) -> int:
    """Index of the placement that makes a block: the last that has begun, else the first."""
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
