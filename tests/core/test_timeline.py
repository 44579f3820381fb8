"""Prompt schedules over the blocks of a recipe."""

import math
import random
from fractions import Fraction
from typing import Any

import pytest
import torch

from causvid_core.prompts.entries import Defaults, Entry, Moment, lay_out
from causvid_core.prompts.layout import EncodedSchedule, distinct_texts
from causvid_core.prompts.schedule_errors import ScheduleError
from causvid_core.prompts.schedule_text import parse_schedule
from causvid_core.stream.recipe import Recipe
from causvid_core.stream.state import StreamBlock, StreamState
from causvid_core.stream.window import WindowPolicy

RECIPES = (
    Recipe(frames_per_block=3),
    Recipe(frames_per_block=1),
    Recipe(frames_per_block=3, first_block_frames=1),
    Recipe(frames_per_block=4, first_block_frames=5),
)


def blocks_by_px_frame(recipe: Recipe, blocks: int) -> list[int]:
    """The block of every px frame, by walking over latent frames."""
    owners: list[int] = []
    for block in range(blocks):
        size = recipe.frames_per_block
        if block == 0 and recipe.first_block_frames:
            size = recipe.first_block_frames
        for _ in range(size):
            owners += [block] * (4 if owners else 1)
    return owners


def simulated(entries: list[Entry], recipe: Recipe, blocks: int) -> list[tuple[int, bool]]:
    """For every block: the entry that rules it, and whether it fades; px frame by px frame."""
    owners = blocks_by_px_frame(recipe, blocks)

    def px_of(moment: Moment) -> int:
        if moment.unit == "b":
            return owners.index(moment.amount)
        if moment.unit == "f":
            return int(moment.amount)
        return next(p for p in range(10**6) if Fraction(p + 1, 16) > moment.amount)

    starts = [px_of(entry.start) for entry in entries]
    ruled = [0] * blocks
    for px, block in enumerate(owners):
        for number, start in enumerate(starts):
            if start == px:
                ruled[block] = number
            elif start < px and number > ruled[block]:
                ruled[block] = number
    fades = [False] * blocks
    shown = sorted(set(ruled))
    for number in shown[1:]:
        own = [block for block in range(blocks) if ruled[block] == number]
        transition = entries[number].transition
        for px, block in enumerate(owners):
            if transition.unit == "b":
                inside = block - own[0] < transition.amount
            else:
                length = math.ceil(transition.amount * (16 if transition.unit == "s" else 1))
                inside = starts[number] <= px < starts[number] + length
            if block in own and inside and entries[number].mode != "cut":
                fades[block] = True
        if number != shown[-1]:
            fades[own[-1]] = False
    return list(zip(ruled, fades, strict=True))


def random_entries(rng: random.Random, recipe: Recipe, blocks: int) -> list[Entry]:
    """Scenes with starts in all units, sorted by where they lie."""
    owners = blocks_by_px_frame(recipe, blocks)
    found: dict[Fraction, Moment] = {Fraction(0): Moment(Fraction(0), "s")}
    for _ in range(rng.randint(0, 8)):
        px = rng.randrange(1, len(owners))
        part = Fraction(rng.randint(0, 3), 4)
        moment, at = rng.choice(
            [
                (Moment(Fraction(px), "f"), Fraction(px)),
                (Moment((px + part) / 16, "s"), px + part),
                (Moment(Fraction(owners[px]), "b"), Fraction(owners.index(owners[px]))),
            ]
        )
        found.setdefault(at, moment)
    lengths = [Moment(Fraction(n), unit) for n in (0, 1, 2, 5, 30) for unit in ("s", "f", "b")]
    return [
        Entry(
            found[at],
            ((f"text {n}", Fraction(1)),),
            rng.choice(lengths),
            rng.choice(["carry", "recache", "cut"]),
        )
        for n, at in enumerate(sorted(found))
    ]


def test_blocks_agree_with_a_walk_over_px_frames() -> None:
    rng, blocks = random.Random(3), 12
    for trial in range(200):
        recipe = RECIPES[trial % len(RECIPES)]
        entries = random_entries(rng, recipe, blocks)
        texts = {text: torch.randn(1, 2, 4) for text in distinct_texts(entries)}
        plan = EncodedSchedule(tuple(entries), texts).plan(recipe)
        ruled = simulated(entries, recipe, blocks)
        (first, _), before = ruled[0], None
        for block, (entry, fades) in enumerate(ruled):
            whole = texts[entries[entry].prompts[0][0]]
            assert (plan.at(block) is whole) == (not fades), (trial, block)
            begins = (entry, fades) != before and not fades and entry != first
            assert plan.switch(block) == (entries[entry].mode if begins else "carry")
            before = entry, fades


def timeline(text: str, **options: Any) -> EncodedSchedule:
    entries = parse_schedule(text)
    texts = {
        text: torch.full((1, 2, 4), float(number + 1))
        for number, text in enumerate(distinct_texts(entries))
    }
    return EncodedSchedule(entries, texts, **options)


def test_a_fade_rises_evenly_and_is_the_same_however_it_is_asked_for() -> None:
    made = timeline("0: a\n4b ~3b [recache]: b\n20b ~8b: a", defaults=Defaults(mode="flush"))
    plan = made.plan(RECIPES[0])
    values = [plan.at(block).unique().item() for block in range(9)]
    assert values == [1, 1, 1, 1, 1.25, 1.5, 1.75, 2, 2]
    switches = [plan.switch(block) for block in range(9)]
    assert switches == ["carry"] * 7 + ["recache", "carry"]
    order = random.Random(4).choices(range(40), k=200)
    assert all(torch.equal(plan.at(n), made.plan(RECIPES[0]).at(n)) for n in order)
    assert plan.at(5) is plan.at(5) and plan.at(0) is plan.at(3) is plan.at(30)
    assert plan.batch == 1 and len(plan._mixed) <= 8


def test_a_schedule_takes_over_from_another_prompt_with_its_entry_s_mode() -> None:
    made = timeline("0 [flush]: a\n4b ~2b [cut]: b\n9b ~2b [recache]: a")

    def stream(blocks: int, prompt: float) -> StreamState:
        context = torch.full((2, 2, 4), prompt)
        block = StreamBlock.new(torch.zeros(2, 16, 3, 2, 2), context, "carry")
        return StreamState(RECIPES[0], 2, 2, 2, 0, "model", history=(block,) * blocks)

    def switches(state: StreamState) -> dict[int, str]:
        plan = made.plan(RECIPES[0], state)
        return {n: plan.switch(n) for n in range(12) if plan.switch(n) != "carry"}

    own = {4: "cut", 11: "recache"}
    assert switches(stream(0, 3.0)) == switches(stream(2, 1.0)) == switches(stream(5, 2.0)) == own
    assert switches(stream(2, 3.0)) == {2: "flush"} | own
    assert switches(stream(6, 3.0)) == {6: "cut"} | own
    assert switches(stream(10, 3.0)) == own


def test_defaults_of_a_schedule() -> None:
    text = "0: a\n3s: b\nc\n20s [cut]: d"
    placed = lay_out(
        parse_schedule(text), WindowPolicy.of(RECIPES[0]), Defaults("recache", 0.75, scene=6)
    )
    assert [p.first for p in placed] == [0, 4, 12, 26] and placed[3].mode == "cut"
    assert [p.fading for p in placed] == [0, 2, 2, 0] and placed[1].mode == "recache"
    for wrong in ({"mode": "fade"}, {"transition": -1}, {"scene": 0}):
        with pytest.raises(ValueError):
            Defaults(**wrong)


def test_blocks_and_seconds_that_cross_are_refused_where_the_recipe_is_known() -> None:
    made = timeline("0: a\n12b: b\n5s: c")
    made.plan(RECIPES[1])
    with pytest.raises(ScheduleError, match="Line 3, .* at frame 80, .* line 2, .* at frame 141"):
        made.plan(RECIPES[0])


def test_what_a_schedule_comes_to_in_words() -> None:
    text = "0: a\n0.1s: b\n3s ~9s [recache]: c | d\n4b: e\n5s: f"
    with pytest.raises(ScheduleError):
        timeline(text).describe(RECIPES[0])
    assert timeline(text.replace("4b", "5b")).describe(RECIPES[0]).splitlines() == [
        "never seen, the next scene begins in the same block: a",
        "block 0 (0.00 s): b",
        "block 4 (2.81 s), shortened from 13 blocks by the next scene, recache: c | d",
        "block 5 (3.56 s), carry: e",
        "block 6 (4.31 s), carry: f",
    ]


def test_contexts_are_checked_and_trimmed() -> None:
    entries = parse_schedule("0: a\n3s: b")
    padded = torch.zeros(1, 512, 4).index_fill(1, torch.arange(3), 1.0)
    made = EncodedSchedule(entries, {"a": padded, "b": torch.ones(2, 5, 4)})
    assert [context.shape for context in made.contexts] == [(1, 3, 4), (2, 5, 4)]
    assert made.plan(RECIPES[0]).batch == 2
    with pytest.raises(ValueError, match="different width"):
        EncodedSchedule(entries, {"a": torch.ones(1, 2, 4), "b": torch.ones(1, 2, 5)})
    with pytest.raises(ValueError, match="for 2 and 3 videos"):
        EncodedSchedule(entries, {"a": torch.ones(3, 2, 4), "b": torch.ones(2, 2, 4)})
    with pytest.raises(ValueError, match="no scene"):
        EncodedSchedule((), {})
