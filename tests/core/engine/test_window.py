"""The policy of the window, against a list that frames are appended to and dropped from."""

import pytest

from causvid_core.stream.segment import SWITCHES, Segment
from causvid_core.stream.window import Span, WindowPolicy

POLICIES = [
    WindowPolicy(3, 3, None, 0),
    WindowPolicy(3, 1, None, 0),
    WindowPolicy(3, 3, 9, 0),
    WindowPolicy(3, 3, 9, 3),
    WindowPolicy(3, 1, 9, 0),
    WindowPolicy(3, 1, 10, 2),
    WindowPolicy(3, 3, 11, 1),
    WindowPolicy(1, 1, 6, 1),
    WindowPolicy(3, 3, 3, 0),
    WindowPolicy(3, 6, 12, 3),
    WindowPolicy(2, 5, 7, 1),
]


def blocks_of(policy, count=40):
    for block in range(count):
        yield block, policy.span(block)


@pytest.mark.parametrize("policy", POLICIES)
def test_slots_hold_what_a_window_keeps(policy):
    window, slots = [], {}
    for block, span in blocks_of(policy):
        assert span.first == policy.frames_before(block)
        for frame in range(span.first, span.end):
            window.append(frame)
            if policy.window is not None and len(window) > policy.window:
                window.pop(policy.sink)
        covered = []
        for slot, offset, frames in policy.runs(span):
            for step in range(frames):
                slots[slot + step] = span.first + offset + step
                covered.append(span.first + offset + step)
        assert covered == list(range(span.first, span.end))
        filled = policy.filled(span.end)
        assert sorted(slots) == list(range(filled))
        assert {slot: policy.frame_in(slot, span.end) for slot in range(filled)} == slots
        assert sorted(slots.values()) == window == list(policy.visible(span.end))
        assert policy.ranks(span.end) == [window.index(slots[slot]) for slot in range(filled)]


@pytest.mark.parametrize("policy", POLICIES)
def test_ranks_never_exceed_the_window_and_equal_frames_until_it_is_full(policy):
    for _, span in blocks_of(policy):
        ranks = policy.ranks(span.end)
        assert sorted(ranks) == list(range(len(ranks)))
        if policy.window is None or span.end <= policy.window:
            assert ranks == list(range(span.end))


def test_a_block_is_one_run_unless_it_crosses_the_seam():
    whole, odd = WindowPolicy(3, 3, 9, 3), WindowPolicy(3, 1, 9, 0)
    assert all(len(whole.runs(span)) == 1 for _, span in blocks_of(whole))
    assert max(len(odd.runs(span)) for _, span in blocks_of(odd)) == 2


@pytest.mark.parametrize("policy", POLICIES)
def test_rewinding_is_allowed_exactly_while_nothing_needed_is_overwritten(policy):
    for block, span in blocks_of(policy, 12):
        for later in range(block, 14):
            written = policy.span(later).end
            overwritten = set(range(written)) - set(policy.visible(written))
            needed = set(policy.visible(span.end)) - set(range(span.first, span.end))
            assert policy.can_rewind(written, block) == (not overwritten & needed)


def test_blocks_of_given_frames():
    policy = WindowPolicy(3, 1, None, 0)
    assert policy.split(0, 7) == [1, 3, 3]
    assert policy.split(2, 3) == [3]
    assert (
        policy.blocks_for(0, 1) == 1
        and policy.blocks_for(0, 2) == 2
        and policy.blocks_for(3, 3) == 1
    )
    assert policy.span(2) == Span(4, 3)
    with pytest.raises(ValueError, match=r"8 latent frames do not fill.*give 10"):
        policy.split(0, 8)
    with pytest.raises(ValueError, match="give 1"):
        policy.split(0, 0)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_a_replay_reaches_as_far_back_as_the_layers_look(policy, layers):
    """Against the definition: follow what each layer's keys were computed from."""
    block_of = {f: block for block, span in blocks_of(policy) for f in range(span.first, span.end)}
    for block, span in blocks_of(policy, 30):
        seen = set(policy.visible(span.end)) - set(range(span.first, span.end))
        for _ in range(layers - 1):
            seen |= {f for other in seen for f in policy.visible(policy.span(block_of[other]).end)}
        replayed = policy.replay(block, layers)
        assert {block_of[frame] for frame in seen} <= set(replayed) <= set(range(block))
        assert replayed == sorted(set(replayed))
    if policy.window is not None:
        assert len(policy.replay(1000, layers)) < 100


@pytest.mark.parametrize("policy", POLICIES)
def test_the_blocks_that_a_block_sees(policy):
    block_of = {f: block for block, span in blocks_of(policy) for f in range(span.first, span.end)}
    for block, span in blocks_of(policy, 30):
        seen = {block_of[frame] for frame in policy.visible(span.end)}
        assert policy.seen(block) == sorted(seen - {block})


def segment_after(policy, switches, blocks):
    return Segment.of(policy, [switches.get(block, "carry") for block in range(blocks)])


@pytest.mark.parametrize(
    ("policy", "mode", "kept", "frames"),
    [
        (WindowPolicy(3, 3, 9, 1), "recache", (0, 6, 7), [0, 1, 2, *range(18, 27)]),
        (WindowPolicy(3, 3, 9, 1), "flush", (0, 7), [*range(9)]),
        (WindowPolicy(3, 3, 9, 1), "cut", (), [0, 1, 2]),
        (WindowPolicy(3, 1, 10, 2), "recache", (0, 1, 6, 7), [0, 1, 2, 3, *range(16, 25)]),
        (WindowPolicy(3, 1, 10, 2), "flush", (0, 1, 7), [*range(10)]),
        (WindowPolicy(3, 1, None, 0), "recache", tuple(range(8)), [*range(25)]),
        (WindowPolicy(3, 1, None, 0), "flush", (7,), [*range(6)]),
        (WindowPolicy(1, 1, 6, 1), "flush", (0, 7), [0, 1, 2]),
    ],
)
def test_what_a_switch_before_block_8_keeps(policy, mode, kept, frames):
    """The kept blocks, and the absolute positions of their latent frames and block 8's."""
    segment = segment_after(policy, {8: mode}, 9)
    assert segment.kept == kept and segment.first == 8
    end = segment.frames_before(9)
    assert [segment.position(frame) for frame in range(end)] == frames
    assert [segment.block(place) for place in range(segment.place(10))] == [*kept, 8, 9]
    assert [segment.prompt(place) for place in range(segment.place(10))] == [8] * len(kept) + [8, 9]
    assert segment.block_ids(9, "abcdefghi".__getitem__) == (
        *("abcdefghi"[b] + "~i" for b in kept),
        "i",
    )


def test_switches_in_a_row_keep_what_the_scene_before_them_held():
    policy = WindowPolicy(3, 3, 9, 3)
    assert segment_after(WindowPolicy(3, 3, 12, 3), {5: "flush", 6: "recache"}, 7).kept == (0, 4, 5)
    assert segment_after(policy, {5: "cut", 6: "recache"}, 7).kept == (5,)
    late = segment_after(policy, {5: "cut", 9: "recache", 10: "flush"}, 11)
    assert late.kept == (5, 9) and late.positions == ()
    kept = segment_after(policy, {5: "cut", 9: "recache"}, 10)
    assert kept.kept == (5, 8) and kept.positions == (0, 1, 2, 9, 10, 11)


def test_a_carried_prompt_and_the_first_block_begin_no_scene():
    segment = Segment(WindowPolicy(3, 1, 9, 0))
    for mode in SWITCHES:
        assert segment.before(0, mode) is segment
    assert segment_after(segment.policy, {3: "carry"}, 6) == segment
