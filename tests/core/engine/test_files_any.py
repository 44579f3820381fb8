"""What `save_stream` accepts, `load_stream` gives back equal; what it refuses was never written."""

import random

import numpy as np
import pytest
import torch

import causvid_core as cv
from causvid_core.cli import main
from causvid_core.stream import DecoderMemory, StreamBlock, StreamState
from causvid_core.stream.cache import KVSnapshot

from .stream_files import same
from .streams import SIZE

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def one_of(draw, usual, *rare):
    """Mostly a usual value."""
    return usual if draw.random() < 0.93 else draw.choice(rare)


def any_recipe(draw):
    """Keywords of a recipe, some of which no recipe has."""
    steps = sorted({draw.uniform(1, 1000) for _ in range(draw.randint(1, 6))}, reverse=True)
    window = draw.choice([None, draw.randint(3, 40)])
    nan, inf = float("nan"), float("inf")
    return {
        "timesteps": one_of(draw, steps, (), "987", [nan], 5, [1000 - n / 2 for n in range(1001)]),
        "warp": one_of(draw, draw.random() < 0.5, 1, [1], "yes", None, np.bool_(True)),
        "shift": one_of(draw, draw.uniform(1, 9), inf, nan, "8", 2**31, 10**400, np.float32(3)),
        "frames_per_block": one_of(draw, draw.randint(1, 3), 2.0, True, "3", None, 10**9),
        "first_block_frames": one_of(draw, draw.choice([None, 1, 2]), 1.0, 0, [1]),
        "window": one_of(draw, window, 9.0, np.int64(9), 9.5, True, inf, 2**31, 10**30),
        "sink": one_of(draw, draw.randint(0, 2), 1.0, None, -1, "1"),
        "positions": one_of(draw, draw.choice(["absolute", "relative"]), [], "rotary"),
        "context_timestep": one_of(draw, draw.choice([0, 30.5]), nan, [0], torch.tensor(3.0)),
    }


def any_tensor(draw, shape, dtype):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(draw.randrange(2**32)))
    return made.to(dtype)


def any_state(draw):
    """A state put together by hand, right or slightly wrong."""
    recipe = cv.Recipe(**any_recipe(draw))
    batch, height, width = (draw.randint(1, 2) for _ in range(3))
    contexts = [
        any_tensor(
            draw,
            (one_of(draw, batch, 3), draw.choice([0, 1, 5]), one_of(draw, 4, 0, 5)),
            one_of(draw, draw.choice(FLOATS), torch.int64, torch.complex64, torch.bool),
        )
        for _ in range(3)
    ]
    frames = [recipe.first_block_frames or recipe.frames_per_block]
    frames += [recipe.frames_per_block] * draw.randint(0, 6)
    history = [
        StreamBlock(
            one_of(draw, f"{n}\n é", "same", "\ud800", "", "x" * 3000, 7),
            any_tensor(
                draw,
                (batch, one_of(draw, 16, 4), count, height, width),
                one_of(draw, torch.float32, torch.float16, torch.float64),
            ),
            draw.choice(contexts),
            one_of(draw, draw.choice(["carry", "cut", "flush", "recache"]), "jump", None),
        )
        for n, count in enumerate(frames if draw.random() < 0.9 else [])
    ]
    state = StreamState(
        recipe,
        one_of(draw, height, float(height), 0),
        width,
        batch,
        one_of(draw, draw.randrange(-(2**64), 2**64), 2**64, 10**20 - 1, 10**20, 1.0, "4", True),
        one_of(draw, "model", "", "m" * 3000, None),
        tuple(history),
        switch=one_of(draw, "carry", "cut", "jump"),
    )
    if history and draw.random() < 0.3:
        kind = draw.choice([torch.float32, torch.bfloat16, torch.int8])
        keys = (any_tensor(draw, (batch, 2, 3, 4), kind),) * 2
        scales = (any_tensor(draw, (batch, 2, 3, 1), torch.float32),) * 4
        blocks = one_of(draw, 1, 0, 99)
        kept = KVSnapshot(keys, keys, blocks, "signature", scales if kind is torch.int8 else ())
        state = state._replace(snapshot=kept)
    if history and draw.random() < 0.3:
        past = (any_tensor(draw, (batch, 3), draw.choice(FLOATS)),) * draw.randint(0, 2)
        state = state._replace(decoder=DecoderMemory(one_of(draw, "d", 3), 1, past))
    return state


def test_what_is_saved_opens_and_is_the_same(tmp_path):
    path = tmp_path / "stream.safetensors"
    draw, saved, refused = random.Random(13), 0, 0
    for _ in range(1500):
        try:
            state = any_state(draw)
        except ValueError:  # the recipe said so
            continue
        except RuntimeError:  # no tensor has as many elements
            continue
        try:
            cv.save_stream(state, path)
        except ValueError as error:
            assert str(error).startswith("this stream cannot be saved: "), error
            assert not list(tmp_path.iterdir())
            refused += 1
            continue
        loaded = cv.load_stream(path)
        assert same(loaded, state) and loaded.recipe == state.recipe
        assert loaded[1:6] == state[1:6] and [type(v) for v in loaded[1:6]] == [
            type(v) for v in state[1:6]
        ]
        path.unlink()
        saved += 1
    assert saved > 150 and refused > 150


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": 10**20}, "the seed is 1000.*at most 20 digits"),
        ({"seed": "4"}, "the seed is '4'"),
        ({"seed": 1.5}, "the seed is 1.5"),
        ({"batch": 0}, "batch is 0; it must be a whole number of at least 1"),
        ({"batch": True}, "batch is True"),
        ({"height": 4.5}, "height is 4.5"),
        ({"width": 2**40}, "width is 1099511627776; it can be at most"),
    ],
)
def test_a_stream_that_no_file_holds_is_not_begun(model, windowed, values, message):
    with pytest.raises(ValueError, match=message):
        cv.start(windowed, model, **SIZE | values)


@pytest.mark.parametrize("seed", [2**64, -(10**20) + 1, np.int64(7)])
def test_every_seed_that_a_stream_can_have_is_saved(model, windowed, tmp_path, seed):
    state = cv.start(windowed, model, **SIZE, seed=seed)
    cv.save_stream(state, tmp_path / "a.safetensors")
    assert cv.load_stream(tmp_path / "a.safetensors").seed == seed


def test_a_prompt_of_whole_numbers_is_refused(model, windowed):
    begun = cv.start(windowed, model, **SIZE)
    whole = torch.ones(1, 5, 12, dtype=torch.int64)
    with pytest.raises(ValueError, match="embedding is of int64; text encoders give float32"):
        next(cv.rollout(model, begun, whole, 1))
    with pytest.raises(ValueError, match="embedding is of int64"):
        cv.prime(model, begun, whole, torch.zeros(1, 16, 3, 4, 6))


def test_given_latents_of_16_bits_are_saved(model, windowed, context, tmp_path):
    given = torch.ones(1, 16, 3, 4, 6, dtype=torch.float16)
    primed = cv.prime(model, cv.start(windowed, model, **SIZE), context, given)
    cv.save_stream(primed, tmp_path / "a.safetensors")
    assert same(cv.load_stream(tmp_path / "a.safetensors"), primed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_prompt_of_nothing_but_zeros_is_saved(model, windowed, tmp_path, dtype):
    begun = cv.start(windowed, model, **SIZE)
    [block] = cv.rollout(model, begun, torch.zeros(1, 5, 12, dtype=dtype), 1)
    cv.save_stream(block.state, tmp_path / "a.safetensors")
    loaded = cv.load_stream(tmp_path / "a.safetensors")
    assert loaded.history[0].context.shape == (1, 0, 12) and same(loaded, block.state)
    ahead = [
        list(cv.rollout(model, state, torch.zeros(1, 0, 12, dtype=dtype), 1))[0].latents
        for state in (loaded, block.state)
    ]
    assert torch.equal(*ahead)


@pytest.mark.parametrize("prompt", ["xyzzy", ""])
def test_the_minis_prompt_without_a_known_word_is_saved_and_resumed(tmp_path, monkeypatch, prompt):
    monkeypatch.chdir(tmp_path)
    shared = ["render", "--prompt", prompt, "--seconds", "0.3"]
    first = ["--size", "32x32", "--out", "a.mp4", "--save-stream", "a.safetensors"]
    assert main([*shared, *first]) == 0
    assert cv.load_stream("a.safetensors").history[0].context.shape[1] == 0
    assert main([*shared, "--out", "b.mp4", "--resume", "a.safetensors"]) == 0


def test_a_seed_that_no_file_holds_is_refused_before_a_render(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    seed = ["--seed", str(10**20)]
    assert main(["render", "--prompt", "a", "--size", "32x32", "--out", "a.mp4", *seed]) == 2
    assert f"the seed is {10**20}; it must be" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
