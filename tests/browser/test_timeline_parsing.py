"""The timeline reads a schedule as the node does: same words, scenes, blocks and errors."""

import random
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from causvid_core.prompts import entry_head
from causvid_core.prompts.entries import (
    SCENE_SECONDS,
    Defaults,
    Moment,
    block_of,
    first_px,
    lay_out,
)
from causvid_core.prompts.other_tools import convert, split_at_bars
from causvid_core.prompts.schedule_errors import ScheduleError
from causvid_core.prompts.schedule_text import parse_schedule
from causvid_core.stream.geometry import FPS
from causvid_core.stream.presets import recipes
from causvid_core.stream.segment import SWITCHES
from causvid_core.stream.window import WindowPolicy

from .schedules import CORE, corpus, mistyped, others_texts

WORDS = """async () => {
    const at = name => import(`/extensions/causvid-stream/timeline/${name}.js`);
    const {MODES, UNITS, FPS, SCENE_SECONDS, DIGITS} = await at("words");
    const {FRAMEWISE} = await at("graph");
    return {MODES, UNITS, FPS, SCENE_SECONDS, DIGITS, FRAMEWISE};
}"""
READ = """async texts => {
    const {parseSchedule} = await import("/extensions/causvid-stream/timeline/parse.js");
    const {t} = await import("/extensions/causvid-stream/shared/i18n.js");
    const number = ({n, d}) => `${n}/${d}`;
    const moment = found => found && [number(found.amount), found.unit];
    return texts.map(([text, scene]) => {
        try {
            return {entries: parseSchedule(text, scene).entries.map(entry => ({
                start: moment(entry.start), transition: moment(entry.transition), mode: entry.mode,
                prompts: entry.prompts.map(({text, weight}) => [text, number(weight)]),
                line: entry.line, column: entry.column,
                typed: entry.body && text.slice(...entry.body)}))};
        } catch (error) {
            const {key, values, line, column} = error;
            const problem = t(`timeline.error.${key}`, values);
            return {error: t("timeline.error.place", {line, column, problem})};
        }
    });
}"""
LAY_OUT = """async cases => {
    const at = name => import(`/extensions/causvid-stream/timeline/${name}.js`);
    const {layOut, firstPx, blockOf} = await at("layout");
    const {parseSchedule} = await at("parse");
    const {t} = await import("/extensions/causvid-stream/shared/i18n.js");
    return cases.map(([text, plan, defaults]) => {
        const blocks = [0, 1, 2, 7].map(block => firstPx(plan, block));
        const frames = [0, 1, 8, 9, 10, 100].map(px => blockOf(plan, px));
        try {
            const scenes = layOut(parseSchedule(text, defaults.scene).entries, plan, defaults);
            return {blocks, frames, scenes: scenes.map(
                ({block, fading, seen, mode}) => seen && [block, fading, mode])};
        } catch ({key, values}) {
            return {blocks, frames, error: t(`timeline.error.${key}`, values)};
        }
    });
}"""
CONVERT = """async cases => {
    const {convert, splitAtBars} = await import(
        "/extensions/causvid-stream/timeline/other_tools.js");
    return cases.map(([text, scene]) => {
        const split = splitAtBars(text, scene);
        try {
            const found = convert(text, scene);
            return {split, found: found && [found.tool, found.line, found.text]};
        } catch ({key, values, line}) {
            return {split, error: [key, values.expected ?? null, line]};
        }
    });
}"""
PLANS = [(3, 3), (1, 1), (3, 1), (4, 3), (2, 5)]


def test_both_know_the_same_words(page) -> None:
    words = page.evaluate(WORDS)
    assert tuple(words["MODES"]) == SWITCHES and words["UNITS"] == entry_head.UNITS
    assert words["FPS"] == FPS and words["SCENE_SECONDS"] == SCENE_SECONDS
    assert words["DIGITS"] == entry_head._DIGITS
    framewise = {name for name, recipe in recipes.items() if recipe.frames_per_block == 1}
    assert set(words["FRAMEWISE"]) == framewise
    others = [recipe for name, recipe in recipes.items() if name not in framewise]
    assert all(r.frames_per_block == 3 and r.first_block_frames is None for r in others)


def test_both_read_and_refuse_the_same(page) -> None:
    texts = list(corpus(3000))
    wanted = [read(*case) for case in texts]
    assert sum("entries" in case for case in wanted) > 1000 < sum("error" in x for x in wanted)
    for case, expected, found in zip(texts, wanted, page.evaluate(READ, texts), strict=True):
        for entry in found.get("entries", ()):
            assert (typed := entry.pop("typed")) is None or typed in case[0]
        assert found == expected, repr(case)


def test_both_convert_the_same(page) -> None:
    rng = random.Random(9)
    texts = others_texts()
    mutated = [spoilt(rng, rng.choice(texts)) for _ in range(1500)]
    bars = ["a | b", "a|b|c\n", "0.5 * a | b", "a |", "a \\| b"]
    cases = [(text, rng.choice([5.0, 0.1, 2.7])) for text in [*texts, *mutated, *bars]]
    wanted = [converted(*case) for case in cases]
    assert sum(bool(case.get("found")) for case in wanted) > 300
    assert sum("error" in case for case in wanted) > 50
    for case, expected, found in zip(cases, wanted, page.evaluate(CONVERT, cases), strict=True):
        assert found == expected, repr(case)


def test_both_come_to_the_same_blocks(page) -> None:
    rng = random.Random(3)
    cases = []
    for number in range(900):
        text = (CORE.typed_schedule if number % 2 else mistyped)(rng)
        defaults = Defaults(rng.choice(SWITCHES), rng.choice([0, 0.5, 1 / 3, 2.0]), 0.7)
        try:
            parse_schedule(text, defaults.scene)
        except ScheduleError:
            continue
        cases.append((text, rng.choice(PLANS), defaults))
    assert len(cases) > 500
    asked = [
        [text, {"framesPerBlock": block, "firstBlockFrames": first}, asdict(defaults)]
        for text, (block, first), defaults in cases
    ]
    for case, found in zip(cases, page.evaluate(LAY_OUT, asked), strict=True):
        assert found == laid_out(*case), repr(case)


def spoilt(rng: random.Random, text: str) -> str:
    """A text with a few characters put in, left out or exchanged."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(text))
        put = rng.choice(
            ["", "\t", "\n", "7", ":", "s", "f", "-", '"', "#", "|", " ", ",", "[", "\\"]
        )
        text = text[:at] + put + text[at + rng.randint(0, 2) :]
    return text


def converted(text: str, scene_seconds: float) -> dict[str, Any]:
    """What Python converts, in the form that CONVERT gives."""
    split = split_at_bars(text, scene_seconds)
    try:
        found = convert(text, scene_seconds)
    except ScheduleError as error:
        return {"split": split, "error": [error.key, error.values.get("expected"), error.line]}
    return {"split": split, "found": found and [found.tool, found.line, found.text]}


def read(text: str, scene_seconds: float) -> dict[str, Any]:
    """What Python reads, in the form that READ gives."""
    try:
        entries = parse_schedule(text, scene_seconds)
    except ScheduleError as error:
        return {"error": str(error)}
    return {
        "entries": [
            {
                "start": moment(entry.start),
                "transition": moment(entry.transition),
                "mode": entry.mode,
                "line": entry.line,
                "column": entry.column,
                "prompts": [[text, ratio(weight)] for text, weight in entry.prompts],
            }
            for entry in entries
        ]
    }


def laid_out(text: str, plan: tuple[int, int], defaults: Defaults) -> dict[str, Any]:
    """What Python lays out, in the form that LAY_OUT gives."""
    blocks = WindowPolicy(*plan, window=None, sink=0)
    entries = parse_schedule(text, defaults.scene)
    result: dict[str, Any] = {
        "blocks": [first_px(blocks, block) for block in (0, 1, 2, 7)],
        "frames": [block_of(blocks, px) for px in (0, 1, 8, 9, 10, 100)],
    }
    try:
        placements = {placed.entry: placed for placed in lay_out(entries, blocks, defaults)}
    except ScheduleError as error:
        return result | {"error": str(error).split(": ", 1)[1]}
    seen = [placements.get(number) for number in range(len(entries))]
    scenes = [placed and [placed.first, placed.fading, placed.mode] for placed in seen]
    return result | {"scenes": [scene or False for scene in scenes]}


def moment(found: Moment | None) -> list[str] | None:
    return found and [ratio(found.amount), found.unit]


def ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
