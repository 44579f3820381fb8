"""Changes of the timeline, at random: the text says what was meant, and all else in it stays."""

import random
import re
from dataclasses import replace
from math import floor
from typing import Any

from causvid_core.prompts.entries import Defaults, Entry, Placement, block_of, lay_out
from causvid_core.prompts.schedule_errors import ScheduleError
from causvid_core.prompts.schedule_text import parse_schedule
from causvid_core.stream.segment import SWITCHES
from causvid_core.stream.window import WindowPolicy

from .schedules import CORE, mistyped

PLAN = WindowPolicy(3, 3, window=None, sink=0)
EDIT = """async cases => {
    const at = name => import(`/extensions/causvid-stream/timeline/${name}.js`);
    const edit = await at("edit");
    const {readSchedule, Refusal} = await at("schedule");
    const {startAtBlock, startAtTime, fadeOfBlocks, fadeOfTime} = await at("places");
    const {firstPx} = await at("layout");
    const {blockStart} = await at("write");
    const started = (schedule, index, place) =>
        place ? edit.moveStart(schedule, index, place) : schedule;
    const faded = (schedule, index, fade) =>
        fade ? edit.stretchFade(schedule, index, fade.length, fade.blocks) : schedule;
    const make = {
        start: (s, index, block) => started(s, index, startAtBlock(s, index, block)),
        time: (s, index, px) => started(s, index, startAtTime(s, index, px, 0.05)),
        fade: (s, index, blocks) => faded(s, index, fadeOfBlocks(s, index, blocks)),
        length: (s, index, px) => faded(s, index, fadeOfTime(s, index, px, 0.05)),
        mode: (s, index, mode) => edit.setMode(s, index, mode),
        prompt: (s, index, typed) => edit.setPrompt(s, index, typed),
        remove: (s, index) => edit.removeScene(s, index),
        add: (s, index, block) => edit.addScene(s, blockStart(firstPx(s.plan, block))),
    };
    return cases.map(([text, change, index, value]) => {
        try {
            return make[change](readSchedule(text), index, value).text;
        } catch (error) {
            if (error instanceof Refusal) return null;
            throw error;
        }
    });
}"""
Scenes = tuple[Entry, ...]
PARTS = {
    "start": "start",
    "time": "start",
    "fade": "transition",
    "length": "transition",
    "mode": "mode",
    "prompt": "prompts",
}


def test_a_change_says_what_was_meant_and_leaves_the_rest(page: Any) -> None:
    rng = random.Random(11)
    cases = [case for _ in range(1500) if (case := any_change(rng))]
    results = page.evaluate(EDIT, cases)
    changed = 0
    for case, text in zip(cases, results, strict=True):
        if text is None or text == case[0]:
            continue
        changed += 1
        try:
            check(case, text)
        except (AssertionError, ValueError) as error:
            raise AssertionError(f"{case!r}\n gave {text!r}") from error
    assert changed > 500


def any_change(rng: random.Random) -> tuple[str, str, int, Any] | None:
    """A schedule that can be read and laid out, a change, the scene and a value for it."""
    text = (CORE.typed_schedule if rng.random() < 0.5 else mistyped)(rng)
    try:
        entries = parse_schedule(text)
        lay_out(entries, PLAN, Defaults())
    except ScheduleError:
        return None
    last = max(placed.first for placed in lay_out(entries, PLAN, Defaults()))
    change = rng.choice(["start", "time", "fade", "length", "mode", "prompt", "remove", "add"])
    value = {
        "start": rng.randint(0, last + 20),
        "add": rng.randint(0, last + 20),
        "time": rng.uniform(0, 12 * last + 200),
        "fade": rng.randint(0, 6),
        "length": rng.uniform(0, 100),
        "mode": rng.choice([*SWITCHES, None]),
        "remove": None,
        "prompt": rng.choice(["a cat", "2 * a cat | a dog", "a #1 # b", "3s: cat", "", "a |"]),
    }[change]
    return text, change, rng.randrange(len(entries)), value


def check(case: tuple[str, str, int, Any], text: str) -> None:
    """What a change may and must do to a text."""
    before, change, index, value = case
    old, new = parse_schedule(before), parse_schedule(text)
    if change in PARTS:
        part = PARTS[change]
        wanted = replace(old[index], **{part: getattr(new[index], part)})
        assert new == put(old, index, wanted)
        same_lines(before, text)
        check_value(change, value, old, new, index)
    elif change == "remove":
        kept = [entry for number, entry in enumerate(old) if number != index]
        assert [meaning(entry) for entry in new] == [meaning(entry) for entry in kept]
        gone = lines(before)
        gone.pop(old[index].line - 1)
        assert text.strip() == "".join(gone).strip() or "0" in text
    else:
        assert len(new) == len(old) + 1
        stays = [meaning(entry) for entry in old]
        places = [n for n in range(len(new)) if without(new, n) == stays]
        assert places
        placed = {scene.entry: scene for scene in scenes(new)}
        assert any(n in placed and placed[n].first == value for n in places)


def check_value(change: str, value: Any, old: Scenes, new: Scenes, index: int) -> None:
    entry, was = new[index], old[index]
    if change == "mode":
        assert entry.mode == value
    elif change == "prompt":
        assert entry.prompts == parse_schedule(f"0: {value}".replace(" #", " \\#"))[0].prompts
    elif change in ("start", "time"):
        assert entry.start is not None
        if was.start is not None:
            assert entry.start.unit == was.start.unit
        if change == "start" and (px := entry.start.px(PLAN)) is not None:
            earlier = block_of(PLAN, floor(px)) < value  # the neighbours may hold it back
            later = block_of(PLAN, floor(px)) > value
            assert not later or index, "nothing holds the first scene back"
            assert not earlier or index < len(new) - 1, "nothing holds the last scene back"
    else:
        assert was.transition is None or entry.transition.unit == was.transition.unit
        placed = {scene.entry: scene for scene in scenes(new)}
        if change == "fade" and index and placed.get(index) and placed[index].mode != "cut":
            room = [scene.first for scene in scenes(new) if scene.first > placed[index].first]
            most = room[0] - placed[index].first - 1 if room else value
            first = min(placed)
            assert index == first or placed[index].fading == min(value, most)


def same_lines(before: str, after: str) -> None:
    """One line differs, and not in its comment."""
    old, new = lines(before), lines(after)
    [(was, becomes)] = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
    behind = [re.search(r"(\s#.*)?[\r\n]*$", line)[0] for line in (was, becomes)]
    assert behind[0] == behind[1]


def scenes(entries: Scenes) -> tuple[Placement, ...]:
    return lay_out(entries, PLAN, Defaults())


def meaning(entry: Entry) -> tuple[Any, ...]:
    start = entry.start if entry.start and entry.start.amount else None  # 0 may be written out
    return start, entry.transition, entry.mode, entry.prompts


def without(entries: Scenes, number: int) -> list[tuple[Any, ...]]:
    return [meaning(entry) for other, entry in enumerate(entries) if other != number]


def put(entries: Scenes, index: int, entry: Entry) -> Scenes:
    return (*entries[:index], entry, *entries[index + 1 :])


def lines(text: str) -> list[str]:
    """Lines with their ends."""
    return re.findall(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+$", text)
