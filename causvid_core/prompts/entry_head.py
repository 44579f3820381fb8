"""What comes before the colon of an entry: its time, its fade and its mode."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from ..stream.segment import SWITCHES
from .entries import Moment
from .schedule_errors import ScheduleError

UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("f", "fr", "frame", "frames", "px"), "f"),
    **dict.fromkeys(("b", "bl", "block", "blocks"), "b"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "clock"),
}

_WHOLE = {"f": "frames", "b": "blocks"}
_DIGITS = 9  # of any number; a schedule never comes near
_NUMBER = r"(?:[0-9]+(?:[.,][0-9]+)?|[.,][0-9]+)"
_CLOCK = r"[0-9]+(?::[0-9]+)+(?:[.,][0-9]+)?"
_NAMES = "|".join(sorted(UNITS, key=len, reverse=True))
_MOMENT = re.compile(
    rf"(?P<sign>[-+]?)(?:(?P<clock>{_CLOCK})"
    rf"|(?P<prefix>{_NAMES})?\s*(?P<number>{_NUMBER})(?:\s*(?P<unit>[^\W\d_]+))?)",
    re.IGNORECASE,
)
_HEADED = re.compile(rf"[\[~:]|{_MOMENT.pattern}\s*(?:[\[~]|:(?![0-9]))", re.IGNORECASE)
_LIKE_TIME = re.compile(rf"[-+]?(?:{_NAMES})?\s*[0-9]", re.IGNORECASE)
# Full-width signs, and others that keyboards put in place of the plain ones, one for one.
_SIGNS = {
    **{0xFF00 + code - 0x20: code for code in range(0x21, 0x7F)},
    **str.maketrans("\u301c\u223c\u02dc\u3010\u3011\u2212\u2013", "~~~[]--"),
}


class Head(NamedTuple):
    """What a head says, None where it says nothing; `end` is the index after it."""

    start: Moment | None
    transition: Moment | None
    mode: str | None
    end: int


def is_headed(line: str) -> bool:
    """Whether a line begins with time, fade or mode, correct or not, up to a colon."""
    return _HEADED.match(line.translate(_SIGNS).lstrip()) is not None


def is_like_time(line: str) -> bool:
    """Whether a line begins like a time."""
    return _LIKE_TIME.match(line.translate(_SIGNS).lstrip()) is not None


def read_head(line: str, number: int, prompt_follows: bool = True) -> Head:
    """The head of line `number`; without a prompt after it the colon may be left out.

    Raises ScheduleError.
    """
    return _Reader(line, number).read(prompt_follows)


class _Reader:
    """Walks over one line. `self._at` is the index of what comes next."""

    def __init__(self, line: str, number: int) -> None:
        self._line, self._number = line, number
        self._plain = line.translate(_SIGNS)
        self._at = 0

    def read(self, prompt_follows: bool) -> Head:
        start = transition = mode = None
        while sign := self._next():
            begin = self._at
            if sign == ":":
                break
            if sign == "~":
                if transition is not None:
                    raise self._error("twice_fade", begin)
                self._at += 1
                self._next()
                transition = self._moment("length")
            elif sign == "[":
                if mode is not None:
                    raise self._error("twice_mode", begin)
                mode = self._mode()
            elif start is None and transition is None and mode is None:
                start = self._moment("time")
            elif not prompt_follows:
                return Head(start, transition, mode, begin)
            else:
                raise self._error("no_colon", begin)
        if sign != ":" and prompt_follows:
            raise self._error("prompt_missing", self._at)
        if start is None and transition is None and mode is None:
            raise self._error("nothing_before", self._at)
        return Head(start, transition, mode, self._at + (sign == ":"))

    def _next(self) -> str:
        """The next character that is not a space; "" at the end."""
        rest = self._plain[self._at :]
        self._at += len(rest) - len(rest.lstrip())
        return self._plain[self._at : self._at + 1]

    def _mode(self) -> str:
        begin, end = self._at, self._plain.find("]", self._at)
        if end < 0:
            raise self._error("bracket_open", begin)
        mode = self._plain[begin + 1 : end].strip().lower()
        if mode not in SWITCHES:
            raise self._error("not_mode", begin, end + 1)
        self._at = end + 1
        return mode

    def _moment(self, expected: str) -> Moment:
        """A moment that is a "time" or a "length", which only errors tell apart."""
        begin = self._at
        found = _MOMENT.match(self._plain, begin)
        if found is None:
            raise self._error(f"not_{expected}", begin)
        self._at = found.end()
        if found["sign"] == "-":
            raise self._error(f"negative_{expected}", begin, found.end())
        if found["sign"]:
            raise self._error(f"plus_{expected}", begin)
        if any(len(digits) > _DIGITS for digits in re.findall(r"[0-9]+", found[0])):
            raise self._error("long_number", begin, found.end())
        if found["clock"]:
            return Moment(self._clock(found), "clock")
        return self._counted(found)

    def _clock(self, found: re.Match[str]) -> Fraction:
        """Seconds of minutes:seconds or hours:minutes:seconds."""
        fields = found["clock"].replace(",", ".").split(":")
        later = [field.split(".")[0] for field in fields[1:]]
        if len(fields) > 3 or any(len(field) != 2 or int(field) > 59 for field in later):
            raise self._error("not_clock", found.start(), found.end())
        seconds = Fraction(0)
        for field in fields:
            seconds = seconds * 60 + Fraction(field)
        return seconds

    def _counted(self, found: re.Match[str]) -> Moment:
        """A number with its unit before or after it; a bare one counts seconds."""
        prefix, behind = found["prefix"], found["unit"]
        if behind and (prefix or behind.casefold() not in UNITS):
            key = "two_units" if prefix else "not_unit"
            raise self._error(key, found.start("unit"), found.end("unit"))
        unit = UNITS[(prefix or behind or "s").casefold()]
        number = found["number"].replace(",", ".")
        amount = Fraction(f"0{number}") * (60 if unit == "clock" else 1)
        if unit in _WHOLE and amount.denominator != 1:
            raise self._error(f"part_{_WHOLE[unit]}", found.start(), found.end())
        return Moment(amount, unit)

    def _error(self, key: str, begin: int, end: int | None = None) -> ScheduleError:
        text = self._line[begin:end].strip()
        modes = ", ".join(f"[{mode}]" for mode in SWITCHES)
        return ScheduleError(key, self._number, begin + 1, text, modes=modes, digits=_DIGITS)
