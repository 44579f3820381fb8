"""The policy of the window, against a list that frames are appended to and dropped from."""

import pytest

from causvid_core.stream.plan import Plan, Span
from causvid_core.stream.scene import SWITCHES, Scene

PLANS = [
    Plan(3, 3, None, 0),
    Plan(3, 1, None, 0),
    Plan(3, 3, 9, 0),
    Plan(3, 3, 9, 3),
    Plan(3, 1, 9, 0),
    Plan(3, 1, 10, 2),
    Plan(3, 3, 11, 1),
    Plan(1, 1, 6, 1),
    Plan(3, 3, 3, 0),
    Plan(3, 6, 12, 3),
    Plan(2, 5, 7, 1),
]


def blocks_of(plan, count=40):
    for block in range(count):
        yield block, plan.span(block)


@pytest.mark.parametrize("plan", PLANS)
def test_slots_hold_what_a_window_keeps(plan):
    window, slots = [], {}
    for block, span in blocks_of(plan):
        assert span.first == plan.frames_before(block)
        for frame in range(span.first, span.end):
            window.append(frame)
            if plan.window is not None and len(window) > plan.window:
                window.pop(plan.sink)
        covered = []
        for slot, offset, frames in plan.runs(span):
            for step in range(frames):
                slots[slot + step] = span.first + offset + step
                covered.append(span.first + offset + step)
        assert covered == list(range(span.first, span.end))
        filled = plan.filled(span.end)
        assert sorted(slots) == list(range(filled))
        assert {slot: plan.frame_in(slot, span.end) for slot in range(filled)} == slots
        assert sorted(slots.values()) == window == list(plan.visible(span.end))
        assert plan.ranks(span.end) == [window.index(slots[slot]) for slot in range(filled)]


@pytest.mark.parametrize("plan", PLANS)
def test_ranks_never_exceed_the_window_and_equal_frames_until_it_is_full(plan):
    for _, span in blocks_of(plan):
        ranks = plan.ranks(span.end)
        assert sorted(ranks) == list(range(len(ranks)))
        if plan.window is None or span.end <= plan.window:
            assert ranks == list(range(span.end))


def test_a_block_is_one_run_unless_it_crosses_the_seam():
    whole, odd = Plan(3, 3, 9, 3), Plan(3, 1, 9, 0)
    assert all(len(whole.runs(span)) == 1 for _, span in blocks_of(whole))
    assert max(len(odd.runs(span)) for _, span in blocks_of(odd)) == 2


@pytest.mark.parametrize("plan", PLANS)
def test_rewinding_is_allowed_exactly_while_nothing_needed_is_overwritten(plan):
    for block, span in blocks_of(plan, 12):
        for later in range(block, 14):
            written = plan.span(later).end
            overwritten = set(range(written)) - set(plan.visible(written))
            needed = set(plan.visible(span.end)) - set(range(span.first, span.end))
            assert plan.can_rewind(written, block) == (not overwritten & needed)


def test_blocks_of_given_frames():
    plan = Plan(3, 1, None, 0)
    assert plan.split(0, 7) == [1, 3, 3]
    assert plan.split(2, 3) == [3]
    assert plan.blocks_for(0, 1) == 1 and plan.blocks_for(0, 2) == 2 and plan.blocks_for(3, 3) == 1
    assert plan.span(2) == Span(4, 3)
    with pytest.raises(ValueError, match=r"8 latent frames do not fill.*give 10"):
        plan.split(0, 8)
    with pytest.raises(ValueError, match="give 1"):
        plan.split(0, 0)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_a_replay_reaches_as_far_back_as_the_layers_look(plan, layers):
    """Against the definition: follow what each layer's keys were computed from."""
    block_of = {f: block for block, span in blocks_of(plan) for f in range(span.first, span.end)}
    for block, span in blocks_of(plan, 30):
        seen = set(plan.visible(span.end)) - set(range(span.first, span.end))
        for _ in range(layers - 1):
            seen |= {f for other in seen for f in plan.visible(plan.span(block_of[other]).end)}
        replayed = plan.replay(block, layers)
        assert {block_of[frame] for frame in seen} <= set(replayed) <= set(range(block))
        assert replayed == sorted(set(replayed))
    if plan.window is not None:
        assert len(plan.replay(1000, layers)) < 100


@pytest.mark.parametrize("plan", PLANS)
def test_the_blocks_that_a_block_sees(plan):
    block_of = {f: block for block, span in blocks_of(plan) for f in range(span.first, span.end)}
    for block, span in blocks_of(plan, 30):
        seen = {block_of[frame] for frame in plan.visible(span.end)}
        assert plan.seen(block) == sorted(seen - {block})


def scene_after(plan, switches, blocks):
    return Scene.of(plan, [switches.get(block, "carry") for block in range(blocks)])


@pytest.mark.parametrize(
    ("plan", "mode", "kept", "frames"),
    [
        (Plan(3, 3, 9, 1), "recache", (0, 6, 7), [0, 1, 2, *range(18, 27)]),
        (Plan(3, 3, 9, 1), "flush", (0, 7), [*range(9)]),
        (Plan(3, 3, 9, 1), "cut", (), [0, 1, 2]),
        (Plan(3, 1, 10, 2), "recache", (0, 1, 6, 7), [0, 1, 2, 3, *range(16, 25)]),
        (Plan(3, 1, 10, 2), "flush", (0, 1, 7), [*range(10)]),
        (Plan(3, 1, None, 0), "recache", tuple(range(8)), [*range(25)]),
        (Plan(3, 1, None, 0), "flush", (7,), [*range(6)]),
        (Plan(1, 1, 6, 1), "flush", (0, 7), [0, 1, 2]),
    ],
)
def test_what_a_switch_before_block_8_keeps(plan, mode, kept, frames):
    """The kept blocks, and the absolute positions of their latent frames and block 8's."""
    scene = scene_after(plan, {8: mode}, 9)
    assert scene.kept == kept and scene.first == 8
    end = scene.frames_before(9)
    assert [scene.position(frame) for frame in range(end)] == frames
    assert [scene.block(place) for place in range(scene.place(10))] == [*kept, 8, 9]
    assert [scene.prompt(place) for place in range(scene.place(10))] == [8] * len(kept) + [8, 9]
    assert scene.names(9, "abcdefghi".__getitem__) == (*("abcdefghi"[b] + "~i" for b in kept), "i")


def test_switches_in_a_row_keep_what_the_scene_before_them_held():
    plan = Plan(3, 3, 9, 3)
    assert scene_after(Plan(3, 3, 12, 3), {5: "flush", 6: "recache"}, 7).kept == (0, 4, 5)
    assert scene_after(plan, {5: "cut", 6: "recache"}, 7).kept == (5,)
    late = scene_after(plan, {5: "cut", 9: "recache", 10: "flush"}, 11)
    assert late.kept == (5, 9) and late.positions == ()
    kept = scene_after(plan, {5: "cut", 9: "recache"}, 10)
    assert kept.kept == (5, 8) and kept.positions == (0, 1, 2, 9, 10, 11)


def test_a_carried_prompt_and_the_first_block_begin_no_scene():
    scene = Scene(Plan(3, 1, 9, 0))
    for mode in SWITCHES:
        assert scene.before(0, mode) is scene
    assert scene_after(scene.plan, {3: "carry"}, 6) == scene
