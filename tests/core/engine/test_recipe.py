"""Recipes: validated in the user's words, serialisable, and those of published checkpoints."""

import json

import numpy as np
import pytest

import causvid_core as cv


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"timesteps": ()}, "at least one"),
        ({"timesteps": (1000, 500, 0)}, "leave out a final 0"),
        ({"timesteps": (500, 1000)}, "must fall"),
        ({"timesteps": (1200,)}, "up to 1000"),
        ({"timesteps": "fast"}, "expected numbers"),
        ({"window": 5, "sink": 3}, "make it at least 6"),
        ({"window": 2}, "make it at least 3"),
        ({"first_block_frames": 7, "window": 6}, "make it at least 7"),
        ({"frames_per_block": 0}, "at least 1"),
        ({"sink": -1}, "at least 0"),
        ({"positions": "rotary"}, "choose 'absolute' or 'relative'"),
        ({"shift": 0}, "positive"),
        ({"context_timestep": -1}, "0 to 1000"),
        ({"first_block_timesteps": (0,)}, "leave out a final 0"),
        ({"warp": [1]}, r"warp is \[1\]; it must be true or false"),
        ({"warp": "no"}, "warp is 'no'; it must be true or false"),
        ({"shift": float("inf")}, "shift is inf; it must be a finite number"),
        ({"shift": float("nan")}, "shift is nan; it must be a finite number"),
        ({"shift": "8"}, "shift is '8'; it must be a finite number"),
        ({"shift": 2.0**40}, "a finite number up to 2,147,483,647"),
        ({"shift": [8]}, r"shift is \[8\]"),
        ({"window": "9"}, "window is '9'; it must be a whole number"),
        ({"window": 9.5}, "window is 9.5; it must be a whole number"),
        ({"window": True}, "window is True; it must be a whole number"),
        ({"window": [9]}, r"window is \[9\]; it must be a whole number"),
        ({"window": float("inf")}, "window is inf; it must be a whole number"),
        ({"window": 10**12}, "it can be at most 2,147,483,647"),
        ({"sink": None}, "sink is None; it must be a whole number"),
        ({"frames_per_block": None}, "published checkpoints use 3 or 1"),
        ({"positions": ["absolute"]}, "choose 'absolute' or 'relative'"),
        ({"timesteps": [1000 - n / 90 for n in range(20_000)]}, "at most 10,000"),
        ({"timesteps": (float("nan"),)}, "expected numbers"),
        ({"timesteps": 1000}, "expected numbers"),
        ({"context_timestep": [0]}, r"context_timestep is \[0\]"),
    ],
)
def test_a_wrong_value_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        cv.Recipe(**values)


def test_values_of_other_kinds_become_those_of_a_recipe():
    recipe = cv.Recipe(
        timesteps=np.array([1000, 500]), window=9.0, sink=np.int64(1), warp=1, shift=np.float32(5)
    )
    assert recipe == cv.Recipe(timesteps=(1000, 500), window=9, sink=1, warp=True, shift=5.0)
    kinds = {name: type(value) for name, value in recipe.to_dict().items()}
    assert (kinds["window"], kinds["sink"], kinds["warp"], kinds["shift"]) == (
        int,
        int,
        bool,
        float,
    )
    assert cv.Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("name", sorted(cv.recipes))
def test_presets_survive_json_and_have_a_line_of_text(name):
    recipe = cv.recipes[name]
    assert cv.Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    preset = cv.presets[name]
    assert preset.recipe is recipe and preset.description and "\n" not in preset.description
    assert preset.width % 16 == 0 and preset.height % 16 == 0


def test_an_unknown_value_is_refused():
    with pytest.raises(ValueError, match="'cfg'"):
        cv.Recipe.from_dict({"cfg": 7})


def test_published_lists():
    rounded = {
        name: [round(t, 1) for t in cv.recipes[name].schedule(0).timesteps]
        for name in ("causvid", "causvid-4step", "self-forcing")
    }
    assert rounded["causvid"] == [1000, 757, 522]
    assert rounded["causvid-4step"] == [1000, 960, 888.9, 727.3]
    assert rounded["self-forcing"] == [1000, 937.5, 833.3, 625]
    assert cv.recipes["causvid"].schedule(0).sigmas[0] == 1


def test_the_first_block_may_have_steps_of_its_own():
    recipe = cv.recipes["causal-forcing++-1step"]
    assert len(recipe.schedule(0).timesteps) == 4
    assert len(recipe.schedule(1).timesteps) == 1


def test_a_strength_is_a_noise_level_of_its_own():
    schedule = cv.Recipe(timesteps=(1000, 757, 522)).schedule(0)
    begun = {s: schedule.begin_at(s) for s in (1.0, 0.9, 0.757, 0.6, 0.1)}
    assert begun[1.0] == (0, schedule) and begun[0.757] == (1, schedule)
    assert {s: (step, moved.timesteps[step:]) for s, (step, moved) in begun.items()} == {
        1.0: (0, (1000, 757, 522)),
        0.9: (0, (900, 757, 522)),
        0.757: (1, (757, 522)),
        0.6: (1, (600, 522)),
        0.1: (2, (100,)),
    }
    assert all(
        moved.sigmas[step] == pytest.approx(s, abs=2e-3) for s, (step, moved) in begun.items()
    )
