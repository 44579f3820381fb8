"""Prompt schedules as text: how they are read and refused."""

import random
from fractions import Fraction

import pytest

from causvid_core.prompts.entries import Entry, Moment
from causvid_core.prompts.schedule_errors import ScheduleError
from causvid_core.prompts.schedule_text import format_moment, parse_schedule, parse_times


@pytest.mark.parametrize(
    ("typed", "amount", "unit"),
    [
        ("0", 0, "s"),
        ("3s", 3, "s"),
        ("3 sec", 3, "s"),
        ("3.5", 3.5, "s"),
        ("3,5S", 3.5, "s"),
        (".5s", 0.5, "s"),
        ("1:05", 65, "clock"),
        ("00:03.5", 3.5, "clock"),
        ("1:02:03", 3723, "clock"),
        ("2min", 120, "clock"),
        ("81f", 81, "f"),
        ("f81", 81, "f"),
        ("81 frames", 81, "f"),
        ("b12", 12, "b"),
        ("12b", 12, "b"),
        ("block 12", 12, "b"),
        ("３ｓ", 3, "s"),
        ("\u017f3", 3, "s"),
        ("3 \u017fec", 3, "s"),
    ],
)
def test_times_in_every_spelling(typed: str, amount: float, unit: str) -> None:
    for line in (f"{typed}: a", f"\t {typed} : a", f"{typed}：a", f"{typed}[cut]:a"):
        (entry,) = parse_schedule(line)
        assert entry.start == Moment(Fraction(amount), unit), line
        assert entry.prompts == (("a", 1),)


def test_a_scene_a_line_with_fade_mode_weights_and_comments() -> None:
    text = (
        "\ufeff# my film\r\n0: a red circle\r\n\r\n# then\n"
        "3s ~1,5s [Recache]: 0.7 * a blue \\| square | 0.3 * colour \\#1 # why\n"
        "5s [cut] ～ 2b： \\# 你好\nand on\n# end"
    )
    entries = parse_schedule(text)
    assert [entry.line for entry in entries] == [2, 5, 6, 7]
    assert entries[0] == Entry(Moment(Fraction(0), "s"), (("a red circle", 1),))
    assert entries[1].prompts == (
        ("a blue | square", Fraction("0.7")),
        ("colour #1", Fraction("0.3")),
    )
    assert entries[1].transition == Moment(Fraction("1.5"), "s") and entries[1].mode == "recache"
    assert entries[2].prompts == (("# 你好", 1),) and entries[2].mode == "cut"
    assert entries[2].transition == Moment(Fraction(2), "b")
    assert entries[3] == Entry(None, (("and on", 1),))


@pytest.mark.parametrize(
    "text",
    ["a red circle\nmoving left", "3 dogs run: fast", "16:9 footage of a 0.5 m ring", "60s party"],
)
def test_text_without_times_is_one_prompt(text: str) -> None:
    (entry,) = parse_schedule(text)
    assert entry.start is None and entry.prompts == ((text.replace("\n", " "), 1),)


@pytest.mark.parametrize(
    ("text", "line", "column", "found", "message"),
    [
        ("", 1, 1, "", "there is no prompt"),
        ("# nothing", 1, 1, "", "there is no prompt"),
        ("0: a\n 3x: b", 2, 3, "x", "is not a unit of time"),
        ("0: a\n3s:  # b", 2, 4, "", "the prompt is empty"),
        ("0: a\n-1s: b", 2, 1, "-1s", "cannot be negative"),
        ("0: a\n1:75: b", 2, 1, "1:75", "is not a clock time"),
        ("0: a\n1.5f: b", 2, 1, "1.5f", "whole frames"),
        ("0: a\n3s ~: b", 2, 5, ": b", "a length such as ~1s"),
        ("0: a\n3s ~1s ~2s: b", 2, 8, "~2s: b", "given twice"),
        ("0: a\n3s [cut] [cut]: b", 2, 10, "[cut]: b", "given twice"),
        ("0: a\n3s [fade]: b", 2, 4, "[fade]", "is not a mode; expected one of [carry]"),
        ("0: a\n3s [cut: b", 2, 4, "[cut: b", "the bracket is not closed"),
        ("0: a\n3s [cut] b", 2, 10, "b", "no colon"),
        ("0: a\n3s b", 2, 1, "3s b", "starts like a time"),
        ("0 - a\n3 - b", 1, 1, "0 - a", "starts like a time"),
        ("0: a\n: b", 2, 1, ": b", "there is nothing before the colon"),
        ("0: a | | b", 1, 7, "a | | b", "no prompt on one side of a bar"),
        ("a |", 1, 3, "a |", "no prompt on one side of a bar"),
        ("a\n\n b | 0 * c", 3, 6, "0", "is not above 0"),
        ("0: a | -0.5 * b", 1, 8, "-0.5", "is not above 0"),
        ("0: 0.7 * a", 1, 4, "0.7", "stands alone"),
        ("0: a\n0s: b", 2, 1, "0s", "is the time of the scene in line 1"),
        ("5s: a\n  1f: b", 2, 3, "1f", "is earlier than the scene in line 1"),
        ("0: a\nb\n3s: c", 3, 1, "3s", "line 2, which has no time of its own and follows"),
        ("9b: a\n7s: b\n8b: c", 3, 1, "8b", "is earlier than the scene in line 1"),
        (f"0: a\n{'9' * 5000}: b", 2, 1, "9" * 5000, " is too long; expected at most 9 digits"),
    ],
)
def test_errors_name_the_place(text: str, line: int, column: int, found: str, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(text)
    error = caught.value
    assert (error.line, error.column, error.text) == (line, column, found)
    assert message in str(error) and str(error).startswith(f"Line {line}, column {column}: ")
    assert len(str(error)) < 300


def test_times_alone() -> None:
    entries = parse_times("0\n 3s ~1s [flush]:  # then\n\n12b\n")
    assert [format_moment(entry.start) for entry in entries] == ["0s", "3s", "12b"]
    assert entries[1].mode == "flush" and entries[1].transition and parse_times(" \n") == ()
    with pytest.raises(ScheduleError, match="Line 2, column 5: .*the prompts come from the"):
        parse_times("0\n3s: a circle")
    with pytest.raises(ScheduleError, match="Line 1, column 1: this is not a time"):
        parse_times("soon")
    with pytest.raises(ScheduleError, match="Line 2, column 1: .*is earlier"):
        parse_times("3s\n2s")


def typed_schedule(rng: random.Random) -> str:
    """A schedule as somebody might type it, with rising times in one unit after another."""
    words = [
        "a red circle",
        "b12",
        "3 * x",
        "5: y",
        "a#1",
        "a\\|b",
        "\\#",
        "é 你",
        "1:05",
        "~",
        "[a]",
    ]
    lines, clock = [], 0
    for _ in range(rng.randint(1, 6)):
        clock += rng.randint(1, 900)
        time = rng.choice(
            [f"{clock}", f"{clock}.25s", f"{clock // 60}:{clock % 60:02}", f"{clock}f"]
        )
        time = time if "f" not in time else f"{16 * clock}f"
        head = rng.choice([f"{time}: ", f"{time} ~{rng.randint(0, 9)}b:", f"{time}[CUT] ~0,5:\t"])
        body = " | ".join(
            rng.choice(["", "2 * ", "0.5*"] if parts > 1 else [""]) + "x " + rng.choice(words)
            for parts in [rng.randint(1, 3)]
            for _ in range(parts)
        )
        comment = rng.choice(["", " # why", "\n# and | so", "\n\n"])
        lines.append(head + body + comment)
    return rng.choice(["\n", "\r\n"]).join(lines)


def test_what_people_type_is_read() -> None:
    rng = random.Random(1)
    for _ in range(300):
        assert parse_schedule(typed_schedule(rng))


SIGNS = [
    "0",
    "3s",
    "1:05",
    ": ",
    "：",
    "~",
    "[",
    "cut",
    "]",
    "|",
    "*",
    "#",
    "\\",
    "-",
    "b",
    " ",
    "\t",
    "\n",
    "\r",
    "red",
    "0.5",
    ",",
    "１",
    "é",
]


def test_any_text_is_read_or_refused() -> None:
    rng, read = random.Random(2), 0
    for _ in range(2000):
        text = "".join(rng.choices(SIGNS, k=rng.randint(1, 14)))
        try:
            parse_schedule(text)
        except ScheduleError as error:
            line = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[error.line - 1]
            assert 1 <= error.column <= len(line) + 1
            continue
        read += 1
    assert read > 250
