"""The world that the Mini learns, and the measures that judge what it learned."""

import itertools
from dataclasses import replace

import pytest
import torch

from causvid_core.mini.measure import read_clip
from causvid_core.mini.vocabulary import COLOURS, DIRECTIONS, SHAPES, read_prompt, unknown_words
from causvid_core.mini.world import generator_of, held_out, held_out_specs, render, sample_spec


def test_training_and_evaluation_share_no_combination():
    seen = {
        (s.shape, s.colour, s.direction)
        for s in (sample_spec(generator_of(0, i)) for i in range(600))
    }
    asked = {(s.shape, s.colour, s.direction) for s in held_out_specs()}
    assert len(asked) == 64 and not asked & seen


def test_every_pair_of_words_is_seen_in_training():
    kept = [
        (shape, colour, direction)
        for shape in SHAPES
        for colour in COLOURS
        for direction in DIRECTIONS
        if not held_out(
            replace(held_out_specs(1)[0], shape=shape, colour=colour, direction=direction)
        )
    ]
    pairs = {pair for triple in kept for pair in itertools.combinations(triple, 2)}
    assert len(kept) == 128
    assert len(pairs) == 6 * 8 + 8 * 4 + 6 * 4


def test_measures_are_right_about_the_world_itself():
    """Wherever a shape starts, its pixels say what it is."""
    generator = torch.Generator().manual_seed(0)
    for spec in held_out_specs(24):
        x, y = torch.rand(2, generator=generator).tolist()
        reading = read_clip(render([replace(spec, start=(x, y))], 17)[0])
        found = (reading.shape, reading.colour, reading.direction)
        assert found == (spec.shape, spec.colour, spec.direction), spec.caption


def test_measures_notice_another_shape_colour_and_direction():
    spec = replace(held_out_specs(1)[0], shape="ring", colour="green", direction="up", size="small")
    reading = read_clip(render([spec], 17)[0])
    assert (reading.shape, reading.colour, reading.direction) == ("ring", "green", "up")
    assert read_clip(render([replace(spec, size="large")], 9)[0]).radius > 1.2 * reading.radius


def test_measures_tell_how_well_a_shape_is_drawn_and_how_evenly_it_moves():
    clip = render([replace(held_out_specs(1)[0], shape="star", direction="right")], 17)[0]
    real = read_clip(clip)
    assert real.overlap > 0.95 and real.jitter < 0.05
    blurred = torch.nn.functional.avg_pool2d(clip, 9, stride=1, padding=4, count_include_pad=False)
    assert read_clip(blurred).overlap < real.overlap - 0.1
    shifts = torch.randint(-2, 3, (17,), generator=torch.Generator().manual_seed(0))
    frames = zip(clip.unbind(1), shifts.tolist(), strict=True)
    shaken = torch.stack([frame.roll(by, 2) for frame, by in frames], dim=1)
    # Of the difference of two shifts, each even over -2..2: the root of two variances of 2.
    assert 1.2 < read_clip(shaken).jitter < 2.8


def test_motion_can_go_on_for_ever():
    """After a lap around the torus the picture is the same."""
    spec = replace(held_out_specs(1)[0], direction="right", speed="steadily")
    now, a_lap_later = render([spec], 2), render([spec], 2, first_px_frame=64)
    torch.testing.assert_close(now, a_lap_later, atol=1e-4, rtol=0)
    assert not torch.allclose(now, render([spec], 2, first_px_frame=32), atol=0.1)


def test_captions_name_every_part_of_a_clip():
    for index in range(100):
        spec = sample_spec(generator_of(1, index))
        known, unknown = read_prompt(spec.caption)
        assert not unknown
        assert {spec.shape, spec.colour, spec.shade, spec.background} <= set(known)


@pytest.mark.parametrize(
    ("text", "known", "unknown"),
    [
        ("A big red ball flying left", ["large", "red", "circle", "moving", "left"], []),
        ("blue star over a blue wall", ["blue", "star", "navy"], []),
        ("a red dragon moving up!", ["red", "moving", "up"], ["dragon"]),
        ("", [], []),
    ],
)
def test_prompts_are_read_forgivingly(text, known, unknown):
    assert read_prompt(text) == (known, unknown)


def test_unknown_words_come_with_the_nearest_known_ones() -> None:
    text = "a cirle and a zebra slides over a checkered purple ground, turquoise and gold"
    assert unknown_words(text) == [
        "cirle -> circle, circling",
        "zebra",
        "slides",
        "checkered -> gradient, striped, dotted",
        "turquoise -> blue, green",
    ]


def test_a_video_opens_with_its_shape_near_the_middle():
    """The prompt says what a clip shows; how its opening starts differs by little."""
    for index in range(200):
        opening = sample_spec(generator_of(3, index), opening=True)
        assert all(abs(place - 0.5) <= 0.03 for place in opening.start)
        assert not held_out(opening)
    anywhere = [sample_spec(generator_of(3, index)).start for index in range(200)]
    assert max(abs(x - 0.5) for x, _ in anywhere) > 0.45
