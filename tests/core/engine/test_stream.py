"""What a stream promises: cut anywhere, continued any number of times, in constant memory."""

import copy
import pickle
import sys

import pytest
import torch

import causvid_core as cv
from causvid_core.model import rope
from causvid_core.stream import snapshot

from .streams import HAND_OVERS, RECIPES, SIZE, latents, make


def hand_over_with_another_cache(state, model):
    return snapshot(state.light(), model)._replace(live=cv.start(state.recipe, model, **SIZE).live)


def hand_over_copied(state, model):
    return copy.deepcopy(state)


def hand_over_pickled(state, model):
    return pickle.loads(pickle.dumps(snapshot(state)))  # noqa: S301 - bytes made here


@pytest.mark.parametrize(
    "hand_over", [*HAND_OVERS, hand_over_with_another_cache, hand_over_copied, hand_over_pickled]
)
def test_cuts_do_not_show(model, context, recipe, whole, hand_over):
    state, parts = cv.start(recipe, model, **SIZE, seed=7), []
    for count in (3, 1, 4):
        blocks = make(model, hand_over(state, model), context, count)
        parts += blocks
        state = blocks[-1].state
    assert torch.equal(latents(parts), whole)
    assert torch.equal(state.latents, whole)
    assert [block.index for block in parts] == list(range(8))
    assert state.frames == whole.shape[2]


def test_every_state_can_be_continued_in_any_order(model, context, recipe, whole):
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 8)
    other = torch.randn_like(context)
    for index in (7, 2, 5, 5, 0, 6):
        state = blocks[index].state
        branch = make(model, state, other, 2)[-1].latents
        if index < 7:
            again = make(model, state, context, 7 - index)
            assert torch.equal(latents(again), whole[:, :, state.frames :])
        assert torch.equal(make(model, state, other, 2)[-1].latents, branch)


def test_interleaved_rollouts_do_not_disturb_each_other(model, context, recipe, whole):
    first = cv.rollout(model, cv.start(recipe, model, **SIZE, seed=7), context, 8)
    begin = [next(first) for _ in range(3)]
    state = begin[-1].state
    second, third = (cv.rollout(model, state, context, 5) for _ in range(2))
    parts = {first: begin, second: [], third: []}
    for _ in range(5):
        for rollout, made in parts.items():
            made.append(next(rollout))
    assert torch.equal(latents(parts[first]), whole)
    for rollout in (second, third):
        assert torch.equal(latents(parts[rollout]), whole[:, :, state.frames :])


def test_a_linear_chain_allocates_the_ring_once(model, context, allocations):
    state = cv.start(RECIPES["window"], model, **SIZE)
    for _ in range(3):
        state = make(model, state, context, 4)[-1].state
    assert len(allocations) == 2 * model.config.num_layers
    make(model, state.light(), context, 1)
    assert len(allocations) == 4 * model.config.num_layers


def test_a_stream_that_keeps_everything_grows_by_a_factor(model, context):
    state = cv.start(RECIPES["everything"], model, **SIZE)
    for _ in range(24):
        state = make(model, state, context, 1)[-1].state
    ring = state.live.ring
    assert ring.allocations < 10
    assert ring.tokens <= 1.5 * state.frames * model.config.tokens_per_frame(**SIZE)


def test_a_known_length_is_reserved_ahead(model, context):
    state = make(model, cv.start(RECIPES["everything"], model, **SIZE), context, 9)[-1].state
    assert state.live.ring.allocations == 1


def counting_calls(function, *arguments):
    """What a function returns, and how many functions were called meanwhile, C's included."""
    made = 0

    def count(frame, event, argument):
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        return function(*arguments), made
    finally:
        sys.setprofile(None)


def test_long_streams_stay_finite_and_flat(wan, context, monkeypatch):
    """300 latent frames, window 9, sink 3."""
    model = wan(num_layers=1)
    recipe = cv.Recipe(timesteps=(1000,), window=9, sink=3, positions="relative")
    asked = []
    table = rope.Rotary.table
    monkeypatch.setattr(
        rope.Rotary,
        "table",
        lambda self, positions: asked.extend(positions) or table(self, positions),
    )
    calls, rings = [], set()
    rollout = cv.rollout(model, cv.start(recipe, model, **SIZE), context, 100)
    for _ in range(100):
        block, made = counting_calls(next, rollout)
        calls.append(made)
        live = block.state.live
        rings.add((live.ring.keys[0].data_ptr(), live.ring.tokens, live.ring.allocations))
    assert block.state.latents.shape[2] == 300 and block.state.latents.isfinite().all()
    assert block.latents.std() > 0.1
    assert max(asked) == 8 and min(asked) == 0
    assert len(rings) == 1
    early, late = (sorted(part)[len(part) // 2] for part in (calls[5:35], calls[70:]))
    assert late < 1.1 * early
