"""Schedules as other tools write them, turned into this project's text.

    {"0": "a red circle", "48": "a blue square"}      FizzNodes, Deforum: frames
    00:00:03,000 --> 00:00:05,000                     subtitles (SRT, WebVTT)
    [0-3s] a red circle    0-3s: a red circle         ranges of time
    3s<tab>a red circle                               columns of a spreadsheet
    1. a red circle                                   a numbered list
    Scene 1: a red circle                             numbered scenes

The timeline in the browser reads them alike (web/timeline/other_tools.js); a test compares both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

from .schedule_errors import ScheduleError

_NUMBER = r"[0-9]{1,9}(?:[.,][0-9]{1,9})?"
_CLOCK = r"(?:[0-9]{1,9}:)?[0-9]{1,9}:[0-9]{2}(?:[.,][0-9]{1,9})?"
_UNIT = r"(?:seconds?|secs?|s|frames?|fr|f)"
_TIME = rf"(?:{_CLOCK}|{_NUMBER}[ \t]*{_UNIT}?)"
_TO = r"[ \t]*(?:-|\u2013|\u2014|to)[ \t]*"
_RANGE = re.compile(
    rf"(?P<open>[\[(])?(?P<start>{_TIME})(?:{_TO}(?P<end>{_TIME}))?(?P<close>[\])])?"
    r"(?P<colon>[ \t]*:)?[ \t]*(?P<text>.*)",
    re.IGNORECASE | re.ASCII,
)
_TAB = re.compile(rf"(?P<start>{_TIME})[ ]*\t[ \t]*(?P<text>.+)", re.IGNORECASE | re.ASCII)
_NUMBERED = re.compile(r"(?P<number>[0-9]{1,4})[.)][ \t]+(?P<text>.+)", re.ASCII)
_SCENE = re.compile(
    r"(?:scene|shot|clip|part|segment)[ \t]*#?[0-9]{1,4}[ \t]*[:.\u2013\u2014-][ \t]*(?P<text>.*)",
    re.IGNORECASE | re.ASCII,
)
_CUE = re.compile(rf"(?P<start>{_CLOCK})[ \t]*-->[ \t]*{_CLOCK}(?:[ \t].*)?", re.ASCII)
_KEYFRAMES = re.compile(r'[ \t\r\n]*\{?[ \t\r\n]*"[0-9]{1,9}"[ \t]*:', re.ASCII)
_KEYFRAME = re.compile(
    r'[ \t\r\n,{]*"(?P<frame>[0-9]{1,9})"[ \t]*:[ \t]*"(?P<text>(?:[^"\\]|\\.)*)"[ \t]*', re.ASCII
)
_REST = re.compile(r"[ \t\r\n,}]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_COMMENT, _QUOTED_COMMENT = re.compile(r"(^| )#"), r"\1\\#"
_SPACES = re.compile(r"[ \t\r\n]+")


class Converted(NamedTuple):
    """text: the schedule as this project writes it. tool: who writes it as it was."""

    tool: str
    line: int
    text: str


class _Line(NamedTuple):
    number: int
    text: str


class _Scene(NamedTuple):
    """start is None for the default length after the scene before it."""

    line: int
    start: str | None
    text: str


def convert(text: str, scene_seconds: float) -> Converted | None:
    """The text of another tool as a schedule; None for one that is written as ours are.

    Raises ScheduleError with the line that does not fit the tool's own format.
    """
    text = text.removeprefix("\ufeff")
    lines = [
        _Line(number, line.strip(" \t"))
        for number, line in enumerate(re.split(r"\r\n?|\n", text), start=1)
    ]
    lines = [line for line in lines if line.text]
    if not lines:
        return None
    if _KEYFRAMES.match(text):
        return _converted("FizzNodes, Deforum", _keyframes(text), scene_seconds)
    for tool, fits, read in _TOOLS:
        if fits(lines):
            return _converted(tool, read(lines), scene_seconds)
    return None


def split_at_bars(text: str, scene_seconds: float) -> str | None:
    """Prompts between bars as scenes, as WanVideoWrapper reads them.

    Here bars mix prompts. None unless the text is nothing but prompts between bars, without times
    and weights.
    """
    plain = text.strip(" \t\r\n").removeprefix("\ufeff")
    parts = [part.strip(" \t\r\n") for part in plain.split("|")]
    if len(parts) < 2 or not all(parts) or re.search(r"[\\#:~\[\]*\u00d7\uff0a]", plain):
        return None
    return _written([_Scene(1, None, part) for part in parts], scene_seconds)


def _converted(tool: str, scenes: Iterator[_Scene], scene_seconds: float) -> Converted:
    found = [scene for scene in scenes if scene.text]
    if not found:
        raise ScheduleError("no_prompt", 1, 1)
    return Converted(tool, found[0].line, _written(found, scene_seconds))


def _written(scenes: list[_Scene], scene_seconds: float) -> str:
    lines = []
    for number, scene in enumerate(scenes):
        start = scene.start or f"{_plain(Decimal(repr(scene_seconds)) * number)}s"
        text = _SPACES.sub(" ", scene.text).strip(" ").replace("|", "\\|")
        lines.append(f"{start}: {_COMMENT.sub(_QUOTED_COMMENT, text)}")
    return "\n".join(lines)


def _keyframes(text: str) -> Iterator[_Scene]:
    at, end = 0, len(text)
    while at < end and not _REST.fullmatch(text, at):
        found = _KEYFRAME.match(text, at)
        begin = _skipped(text, at)
        if found is None:
            expected = '"12": "a red circle",'
            raise _misfit("FizzNodes, Deforum", text.count("\n", 0, begin) + 1, expected)
        at = found.end()
        prompt = _ESCAPE.sub(_unescaped, found["text"]).split("--neg")[0]
        prompt = prompt.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        line = text.count("\n", 0, found.start("frame")) + 1
        yield _Scene(line, f"{int(found['frame'])}f", prompt)


def _skipped(text: str, at: int) -> int:
    while at < len(text) - 1 and text[at] in " \t\r\n,{":
        at += 1
    return at


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return " " if found[2] in "nrt" else found[2]


def _is_subtitles(lines: list[_Line]) -> bool:
    return any(_CUE.fullmatch(line.text) for line in lines[:3])


def _subtitles(lines: list[_Line]) -> Iterator[_Scene]:
    cues = [index for index, line in enumerate(lines) if _CUE.fullmatch(line.text)]
    for number, index in enumerate(cues):
        end = cues[number + 1] if number + 1 < len(cues) else len(lines)
        body = [line.text for line in lines[index + 1 : end]]
        if number + 1 < len(cues) and len(body) > 1 and re.fullmatch(r"[0-9]{1,9}", body[-1]):
            body.pop()  # the number of the next cue
        found = _CUE.fullmatch(lines[index].text)
        assert found
        yield _Scene(lines[index].number, _time(found["start"], ""), _TAG.sub("", " ".join(body)))


def _range(line: str) -> re.Match[str] | None:
    found = _RANGE.fullmatch(line)
    if found is None or not found["text"]:
        return None
    bracketed = bool(found["open"]) and bool(found["close"])
    if bool(found["open"]) != bool(found["close"]):
        return None
    clocks = ":" in found["start"] and ":" in (found["end"] or "")
    delimited = bracketed or (found["end"] and (found["colon"] or clocks))
    return found if delimited else None


def _ranges(lines: list[_Line]) -> Iterator[_Scene]:
    for line in lines:
        found = _range(line.text)
        if found is None:
            raise _misfit("[0-3s]", line.number, "[3-6s] a red circle")
        yield _Scene(line.number, _time(found["start"], found["end"] or ""), found["text"])


def _columns(lines: list[_Line]) -> Iterator[_Scene]:
    for line in lines:
        found = _TAB.fullmatch(line.text)
        assert found
        yield _Scene(line.number, _time(found["start"], ""), found["text"])


def _is_numbered(lines: list[_Line]) -> bool:
    numbers = [found and int(found["number"]) for found in map(_numbered, lines)]
    first = numbers[0]
    return len(lines) > 1 and first in (0, 1) and numbers == [first + n for n in range(len(lines))]


def _numbered(line: _Line) -> re.Match[str] | None:
    return _NUMBERED.fullmatch(line.text)


def _listed(lines: list[_Line]) -> Iterator[_Scene]:
    for line in lines:
        found = _numbered(line)
        assert found
        yield _Scene(line.number, None, found["text"])


def _scenes(lines: list[_Line]) -> Iterator[_Scene]:
    """A heading may stand above the scene's text, which may take several lines."""
    heading: _Line = lines[0]
    body: list[str] = []
    for line in lines:
        found = _SCENE.fullmatch(line.text)
        if found and line is not lines[0]:
            yield _Scene(heading.number, None, " ".join(body))
            heading, body = line, []
        body.append(found["text"] if found else line.text)
    yield _Scene(heading.number, None, " ".join(body))


def _time(typed: str, end: str) -> str:
    """A time in our own words; one without a unit has that of the end of its range."""
    if ":" in typed:
        seconds = Decimal(0)
        for field in typed.replace(",", ".").split(":"):
            seconds = seconds * 60 + Decimal(field)
        return f"{_plain(seconds)}s"
    number = re.match(_NUMBER, typed, re.ASCII)
    assert number
    unit = typed[number.end() :].strip(" \t") or re.sub(rf"{_NUMBER}[ \t]*", "", end)
    frames = unit[:1].lower() == "f"
    value = _plain(Decimal(number[0].replace(",", ".")))
    return f"{value}{'f' if frames else 's'}"


def _plain(value: Decimal) -> str:
    text = f"{round(value, 9):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _misfit(tool: str, line: int, expected: str) -> ScheduleError:
    return ScheduleError("other_misfit", line, 1, tool=tool, expected=expected)


_TOOLS: tuple[
    tuple[str, Callable[[list[_Line]], bool], Callable[[list[_Line]], Iterator[_Scene]]], ...
] = (
    ("SRT, WebVTT", _is_subtitles, _subtitles),
    ("[0-3s]", lambda lines: _range(lines[0].text) is not None, _ranges),
    ("tab", lambda lines: all(_TAB.fullmatch(line.text) for line in lines), _columns),
    ("1. 2. 3.", _is_numbered, _listed),
    ("Scene 1:", lambda lines: bool(_SCENE.fullmatch(lines[0].text)), _scenes),
)
