"""Schedules of other tools are recognised, converted, and refused with the line that is wrong."""

import pytest

from causvid_core.prompts.other_tools import convert, split_at_bars
from causvid_core.prompts.schedule_errors import ScheduleError
from causvid_core.prompts.schedule_text import parse_schedule

TWO = "0s: a red circle\n3s: a blue square"
WRITTEN_BY_OTHERS = {
    "FizzNodes": (
        '"0": "a red circle",\n"48": "a blue square",',
        "0f: a red circle\n48f: a blue square",
    ),
    "Deforum": (
        '{\n  "0": "a \\"red\\" circle --neg blurry, #ugly",\n  "30": "b|c \\ud83d\\ude00"\n}',
        '0f: a "red" circle\n30f: b\\|c 😀',
    ),
    "a JSON of one line": ('{"0": "a", "9": "b"}', "0f: a\n9f: b"),
    "SRT": (
        "1\n00:00:00,000 --> 00:00:02,500\na <i>red</i>\ncircle\n\n"
        "2\r\n00:01:02,500 --> 00:01:04,000\r\na blue square\r\n",
        "0s: a red circle\n62.5s: a blue square",
    ),
    "WebVTT": ("WEBVTT\n\n00:01.250 --> 00:03.000 align:start\na", "1.25s: a"),
    "seconds in brackets": ("[0-3s] a red circle\n[3s-6s]: a blue square", TWO),
    "clock times in brackets": ("[00:00 - 00:03] a red circle\n[00:03 - 00:06] a blue square", TWO),
    "a time in brackets": ("(0s) a red circle\n(3s) a blue square", TWO),
    "ranges": ("0-3s: a red circle\n\n3 to 6 seconds: a blue square", TWO),
    "ranges of frames": ("0-24f: a\n24-48 frames: b", "0f: a\n24f: b"),
    "clock ranges": ("0:00–0:03 a red circle\n0:03–0:06 a blue square", TWO),
    "tabs": ("0\ta red circle\n3.0s\t a blue square", TWO),
    "a numbered list": (
        "1. a red circle #1\n2. a blue square",
        "0s: a red circle \\#1\n3s: a blue square",
    ),
    "a numbered list from 0": ("0) a red circle\n1) a blue square", TWO),
    "numbered scenes": ("Scene 1: a red circle\nSCENE #2 - a blue square", TWO),
    "headings": ("Shot 1:\na red\ncircle\n\nShot 2:\na blue square", TWO),
}
OUR_OWN = [
    "a red circle",
    TWO,
    "3-4 dogs run over a field",
    "1:05: a",
    "0: [a]\n2min: b",
    "[cut]: a",
    "1. a dog",
    '"a" said the dog',
    "0.7 * a | 0.3 * b",
    "scenes of a city",
    "~2b: a",
]
MISFITS = {
    '{"0": "a",\n"max_f-1": "b"}': (2, '"12": "a red circle",'),
    '"0": "a"\n"5": 7': (2, '"12": "a red circle",'),
    "[0-3s] a\n[3-6s] b\nand c": (3, "[3-6s] a red circle"),
}


@pytest.mark.parametrize(("text", "wanted"), WRITTEN_BY_OTHERS.values(), ids=WRITTEN_BY_OTHERS)
def test_converted_and_refused_until_then(text: str, wanted: str) -> None:
    found = convert(text, 3.0)
    assert found is not None and found.text == wanted
    with pytest.raises(ScheduleError, match="press Convert on the timeline, or write it as"):
        parse_schedule(text, 3.0)
    assert convert(wanted, 3.0) is None
    starts = [line.split(":")[0] for line in wanted.splitlines()]
    assert [entry.start and entry.start.unit for entry in parse_schedule(wanted)] == [
        start[-1] for start in starts
    ]


@pytest.mark.parametrize("text", OUR_OWN)
def test_our_own_text_is_left_alone(text: str) -> None:
    assert convert(text, 5.0) is None
    parse_schedule(text)


@pytest.mark.parametrize("text", MISFITS)
def test_what_cannot_be_read_is_named_with_its_line(text: str) -> None:
    line, expected = MISFITS[text]
    with pytest.raises(ScheduleError) as refused:
        convert(text, 5.0)
    assert refused.value.line == line and expected in str(refused.value)


def test_bars_can_be_split_into_scenes() -> None:
    assert (
        split_at_bars(" a red circle | a blue square\n", 0.1)
        == "0s: a red circle\n0.1s: a blue square"
    )
    for blend in ("a", "a |", "0.7 * a | b", "0: a | b", "a \\| b", "a | b # c"):
        assert split_at_bars(blend, 5.0) is None
