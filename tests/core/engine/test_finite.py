"""NaN and infinity end a rollout with a cause, and what was finished stays."""

import math
import re

import pytest
import torch

import causvid_core as cv
from causvid_core.stream import LiveCache, finite, snapshot
from causvid_core.stream.finite import NotFinite

from .streams import RECIPES, SIZE, latents, make

RECIPE = RECIPES["window"]


@pytest.fixture
def begun(model, context):
    """The first three blocks of six, and all of them as they should be."""
    blocks = make(model, cv.start(RECIPE, model, **SIZE, seed=7), context, 6)
    return blocks[2].state, latents(blocks)


def weight_of(model):
    return model.blocks[1].ffn[0].weight


class Spoiled:
    """Prompts of which one, from a block on, holds a number that is none."""

    def __init__(self, context, block, value):
        self.context, self.block = context, block
        self.spoiled = context.clone()
        self.spoiled[0, 1, 2] = value

    def at(self, block):
        return self.spoiled if block >= self.block else self.context


def noise_with_nan(block, step, shape):
    noise = torch.zeros(shape)
    if (block, step) == (4, 1):
        noise[0, 0, 0, 0, 0] = math.nan
    return noise


def source_with_nan():
    for block in range(3):
        part = torch.zeros(1, 16, 3, 4, 6)
        part[0, 3, 1, 2, 2] = math.nan if block == 1 else 0
        yield part


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_none_is_seen(value):
    tensor = torch.zeros(2, 3, 4)
    assert finite.is_finite(tensor) and finite.is_finite(torch.zeros(0))
    tensor[1, 2, 0] = value
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert not finite.is_finite(tensor.to(dtype))


@pytest.mark.parametrize(
    ("arguments", "where", "cause"),
    [
        (lambda c: (Spoiled(c, 4, math.nan), {}), (4, None), "prompt embedding"),
        (lambda c: (Spoiled(c, 4, math.inf), {}), (4, None), "prompt embedding"),
        (lambda c: (c, {"noise": noise_with_nan}), (4, 1), "its noise"),
        (lambda c: (c, {"source": source_with_nan(), "strength": 0.5}), (4, 0), "source video"),
        (lambda c: (c, {"source": source_with_nan(), "strength": 0.0}), (4, None), "source video"),
    ],
)
def test_the_block_the_step_and_the_cause_are_named(model, context, begun, arguments, where, cause):
    state, whole = begun
    prompts, options = arguments(context)
    seen = []
    with pytest.raises(NotFinite, match=cause) as caught:
        seen.extend(cv.rollout(model, state, prompts, 3, **options))
    error = caught.value
    assert (error.block, error.step) == where
    assert f"block {error.block + 1} of the stream" in str(error)
    assert error.step is None or f"step {error.step + 1}" in str(error)
    assert "first 4 blocks are whole" in str(error)
    for block in seen:
        assert torch.isfinite(block.state.latents).all() and block.state.blocks == 4
    rest = latents(make(model, state, context, 3))
    assert torch.equal(rest, whole[:, :, state.frames :])


def test_weights_that_turn_bad_in_the_middle_are_named(model, context, begun):
    state, whole = begun
    weight, rollout = weight_of(model), cv.rollout(model, state, context, 3)
    middle = next(rollout).state
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[3, 4] = math.inf
    with pytest.raises(NotFinite, match=re.escape("weight blocks.1.ffn.0.weight")) as caught:
        next(rollout)
    assert (caught.value.block, caught.value.step) == (4, 0)
    with torch.no_grad():
        weight.copy_(kept)
    rest = latents(make(model, middle, context, 2))
    assert torch.equal(rest, whole[:, :, middle.frames :])


def test_kept_keys_that_are_bad_are_named_and_can_be_left_out(model, context, begun):
    state, whole = begun
    exact = snapshot(state, model)
    keys = tuple(key.clone() for key in exact.snapshot.keys)
    keys[1][0, 5] = math.nan
    bad = exact._replace(snapshot=exact.snapshot._replace(keys=keys), live=LiveCache())
    with pytest.raises(NotFinite, match="keys and values that the stream carries") as caught:
        make(model, bad, context, 3)
    assert caught.value.block == 3
    rest = latents(make(model, bad.light(), context, 3))
    assert torch.equal(rest, whole[:, :, state.frames :])


def test_latents_of_an_earlier_block_that_are_bad_are_named(model, context, begun):
    state, _ = begun
    history = list(state.history)
    history[1] = history[1]._replace(latents=history[1].latents * math.nan)
    bad = state.light()._replace(history=tuple(history))
    with pytest.raises(NotFinite, match="latents of block 2"):
        make(model, bad, context, 1)


def test_an_overflow_in_half_precision_is_named(wan, context):
    model = wan(dtype=torch.float16)
    with torch.no_grad():
        weight_of(model).fill_(6e4)
    with pytest.raises(NotFinite, match="overflows in float16"):
        make(model, cv.start(RECIPE, model, **SIZE), context, 1)


def test_a_model_that_overflows_with_good_inputs_is_named(model, context):
    with torch.no_grad():
        weight_of(model).fill_(3e38)
    with pytest.raises(NotFinite, match="the model itself overflows") as caught:
        make(model, cv.start(RECIPE, model, **SIZE), context, 1)
    assert "No block is finished yet" in str(caught.value)


def test_given_latents_and_prompts_are_looked_at_before_any_work(model, context):
    state = cv.start(RECIPE, model, **SIZE)
    given = torch.zeros(1, 16, 6, 4, 6)
    given[0, 0, 4, 0, 0] = math.nan
    with pytest.raises(NotFinite, match="block 2 of the stream .* given latents"):
        cv.prime(model, state, context, given)
    with pytest.raises(NotFinite, match="block 1 of the stream .* prompt embedding"):
        cv.rollout(model, state, context * math.inf, 1)


def test_a_bad_block_is_refused_however_often_it_is_asked_for(model, context, begun):
    """On a GPU a block arrives later; then its state, and those after it, are what fails."""
    state, _ = begun
    rollout = cv.rollout(model, state, context, 2, noise=noise_with_nan)
    first = next(rollout)
    with pytest.raises(NotFinite):
        next(rollout)
    session = first._state.func.__self__
    for _ in range(2):
        with pytest.raises(NotFinite):
            session.state_after(5)
    assert session.state_after(4).blocks == first.state.blocks == 4


def test_one_look_a_block(model, context, monkeypatch):
    looked = []
    aminmax = torch.aminmax
    monkeypatch.setattr(torch, "aminmax", lambda x: looked.append(x.shape) or aminmax(x))
    make(model, cv.start(RECIPE, model, **SIZE), context, 4)
    assert looked.count((1, 16, 3, 4, 6)) == 4
    assert len(looked) <= 4 + 1  # and one at the prompt
