"""A prompt schedule as text: one scene per line, forgiving to type and strict to read.

    0: a red circle moving left
    3s ~1s [recache]: a blue square moving right   # from 3 s on, fading in over one second
    0.7 * a star | 0.3 * a ring

Before the colon come the time, `~` with the length of the fade, and the mode in brackets; each is
optional. A text in which no line has any of them is one prompt, on however many lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from .entries import SCENE_SECONDS, Entry, Moment
from .entry_head import is_headed, is_like_time, read_head
from .other_tools import convert
from .schedule_errors import ScheduleError

_WEIGHT = re.compile(r"\s*([-+\u2212]?(?:[0-9]+(?:[.,][0-9]+)?|[.,][0-9]+))\s*[*\xd7\uff0a](?!\*)")
_COMMENT = re.compile(r"(?:^|(?<=\s))#")
_BAR = re.compile(r"(?<!\\)\|")
_ESCAPED = re.compile(r"\\([#|])")


class _Line(NamedTuple):
    number: int
    text: str

    @property
    def column(self) -> int:
        """Where its text begins, from 1."""
        return 1 + len(self.text) - len(self.text.lstrip())


def parse_schedule(text: str, scene_seconds: float = SCENE_SECONDS) -> tuple[Entry, ...]:
    """The entries of a schedule.

    A line without a time begins `scene_seconds` after the previous one; the first begins at 0.
    Raises ScheduleError with the place of the first thing that cannot be read.
    """
    lines = _lines(text)
    if not lines:
        raise ScheduleError("no_prompt", 1, 1)
    if other := convert(text, scene_seconds):
        first = other.text.partition("\n")[0]
        raise ScheduleError("other_tool", other.line, 1, first, tool=other.tool)
    if not _has_marks(lines):
        return (_one_prompt(lines),)
    entries = tuple(_entry(line) for line in lines)
    _check_order(entries, scene_seconds)
    return entries


def parse_times(text: str, scene_seconds: float = SCENE_SECONDS) -> tuple[Entry, ...]:
    """Entries without prompts, from one time per line, with fade and mode as in a schedule.

    Raises ScheduleError.
    """
    entries = []
    for line in _lines(text):
        head = read_head(line.text, line.number, prompt_follows=False)
        if rest := line.text[head.end :].strip():
            begin = line.text.index(rest, head.end)
            raise ScheduleError("behind_time", line.number, begin + 1, rest)
        marks = (head.start, (), head.transition, head.mode)
        entries.append(Entry(*marks, line.number, line.column))
    _check_order(entries, scene_seconds)
    return tuple(entries)


def format_moment(moment: Moment) -> str:
    """A time as an artist types it: 3s, 1:05, 81f or 12b."""
    if moment.unit != "clock":
        return _decimal(moment.amount) + moment.unit
    minutes, seconds = divmod(moment.amount, 60)
    hours, minutes = divmod(minutes, 60)
    rest = _decimal(seconds)
    rest = rest if len(rest.split(".")[0]) == 2 else f"0{rest}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"


def _lines(text: str) -> list[_Line]:
    """Lines that are neither blank nor comments, without the comment at their end."""
    lines = re.split(r"\r\n?|\n", text.removeprefix("\ufeff"))
    kept = (_COMMENT.split(line, maxsplit=1)[0].rstrip() for line in lines)
    return [_Line(number, line) for number, line in enumerate(kept, start=1) if line]


def _has_marks(lines: Sequence[_Line]) -> bool:
    """Whether lines are entries: one has a head, or several begin as if they had."""
    headed = any(is_headed(line.text) for line in lines)
    return headed or sum(_lacks_colon(line.text) for line in lines) > 1


def _lacks_colon(text: str) -> bool:
    return is_like_time(text) and not _WEIGHT.match(text)


def _entry(line: _Line) -> Entry:
    if is_headed(line.text):
        head = read_head(line.text, line.number)
        prompts = _parts(line.text[head.end :], [(0, line.number, head.end)])
        marks = (head.start, prompts, head.transition, head.mode)
    elif _lacks_colon(line.text):
        raise ScheduleError("like_time", line.number, line.column, line.text.strip())
    else:
        marks = (None, _parts(line.text, [(0, line.number, 0)]), None, None)
    return Entry(*marks, line.number, line.column)


def _one_prompt(lines: Sequence[_Line]) -> Entry:
    """All lines as one prompt."""
    joined, places = "", []
    for line in lines:
        joined += " " if joined else ""
        places.append((len(joined), line.number, line.column - 1))
        joined += line.text.strip()
    return Entry(None, _parts(joined, places), line=1)


def _parts(body: str, places: Sequence[tuple[int, int, int]]) -> tuple[tuple[str, Fraction], ...]:
    """Texts and weights of `a | 0.3 * b`.

    places: (offset in body, line, offset in that line), rising, to say where an error is.
    """

    def error(key: str, offset: int, text: str) -> ScheduleError:
        begin, line, column = [place for place in places if place[0] <= offset][-1]
        return ScheduleError(key, line, 1 + column + offset - begin, text)

    parts: list[tuple[str, Fraction]] = []
    bars = [bar.start() for bar in _BAR.finditer(body)]
    starts, ends = [0, *(bar + 1 for bar in bars)], [*bars, len(body)]
    for start, end in zip(starts, ends, strict=True):
        weight, text_start = Fraction(1), start
        if found := _WEIGHT.match(body, start, end):
            number = found[1].replace(",", ".").replace("\u2212", "-")
            weight, text_start = Fraction(number) if len(number) < 20 else Fraction(0), found.end()
            if weight <= 0 or (not bars and weight != 1):
                key = "weight_alone" if weight > 0 else "weight_low"
                raise error(key, found.start(1), found[1])
        text = body[text_start:end].strip()
        if not text:
            key = "bar_empty" if bars else "empty"
            raise error(key, min(start, max(len(body) - 1, 0)), body.strip())
        parts.append((_ESCAPED.sub(r"\1", text), weight))
    return tuple(parts)


def _check_order(entries: Sequence[Entry], scene_seconds: float) -> None:
    """Raise ScheduleError unless times rise, as far as that is known without a recipe."""
    latest: dict[str, tuple[Fraction, Entry]] = {}
    position: Fraction | None = None
    scene = Moment.seconds(scene_seconds).known_px
    for number, entry in enumerate(entries):
        start = entry.start
        known: dict[str, Fraction] = {}
        if start is None and number:
            position = None if position is None or scene is None else position + scene
        else:
            start = start or Moment(Fraction(0), "s")
            position = start.known_px
            if start.unit == "b" or not start.amount:
                known["b"] = start.amount
        if position is not None:
            known["px"] = position
        for unit, value in known.items():
            if unit in latest and value <= latest[unit][0]:
                _refuse_order(entry, value == latest[unit][0], latest[unit][1])
            latest[unit] = (value, entry)


def _refuse_order(entry: Entry, same: bool, before: Entry) -> None:
    typed = format_moment(entry.start) if entry.start else ""
    key = f"{'same_time' if same else 'earlier'}{'' if before.start else '_untimed'}"
    raise ScheduleError(key, entry.line, entry.column, typed, before=before.line)


def _decimal(value: Fraction) -> str:
    return f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
