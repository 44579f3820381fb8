"""What a rollout takes over: snapshots are checked, and errors leave no half of a ring."""

import pytest
import torch

import causvid_core as cv
from causvid_core.model.kv_cache import KVRing
from causvid_core.stream import LiveCache, release, snapshot, snapshot_within

from .streams import RECIPES, SIZE, latents, make


def narrower(tensors):
    return tuple(tensor[..., :-2].contiguous() for tensor in tensors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"keys": narrower(s.keys)}, "a tensor of "),
        (lambda s: {"values": tuple(v[:, :-1] for v in s.values)}, "a tensor of "),
        (lambda s: {"values": tuple(v.double() for v in s.values)}, "float64; expected"),
        (lambda s: {"keys": s.keys[:1]}, "keys of 1 layers; expected 2 layers"),
        (lambda s: {"values": (*s.values, s.values[0])}, "values of 3 layers"),
        (lambda s: {"keys": tuple(k.expand(2, -1, -1, -1) for k in s.keys)}, "a tensor of "),
        (lambda s: {"keys": tuple(k.to("meta") for k in s.keys)}, "a tensor on meta"),
        (lambda s: {"blocks": 9}, "9 blocks where the segment has 4"),
    ],
)
def test_a_snapshot_that_does_not_fit_is_refused(model, context, change, message):
    recipe = RECIPES["window"]
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 6)
    exact = snapshot(blocks[3].state, model)
    good = exact._replace(live=LiveCache())
    bad = good._replace(snapshot=good.snapshot._replace(**change(good.snapshot)))
    with pytest.raises(ValueError, match=message) as caught:
        make(model, bad, context, 2)
    assert "do not fit this model" in str(caught.value)
    for state in (bad.light(), good):
        assert torch.equal(latents(make(model, state, context, 2)), latents(blocks[4:]))


def test_scales_that_do_not_fit_are_refused(model, context):
    state = make(model, cv.start(RECIPES["window"], model, **SIZE), context, 4)[-1].state
    coarse = snapshot_within(state, 2**30, int8=True)._replace(live=LiveCache())
    make(model, coarse, context, 1)
    kept = coarse.snapshot
    for scales, message in (
        (kept.scales[:3], "scales for 3 tensors"),
        (tuple(s.half() for s in kept.scales), "float16"),
        (tuple(s[:, :-1] for s in kept.scales), "a tensor of "),
    ):
        with pytest.raises(ValueError, match=message):
            make(model, coarse._replace(snapshot=kept._replace(scales=scales)), context, 1)


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_ring_that_could_not_grow_is_given_up(model, context, monkeypatch, fails_at):
    recipe = RECIPES["everything"]
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 7)
    state = make(model, blocks[2].state.light(), context, 1)[-1].state
    allocate, made = KVRing._allocate, []

    def scarce(ring, tokens):
        made.append(tokens)
        if len(made) == fails_at:
            raise torch.OutOfMemoryError("no memory")
        return allocate(ring, tokens)

    monkeypatch.setattr(KVRing, "_allocate", scarce)
    with pytest.raises(torch.OutOfMemoryError):
        make(model, state, context, 3)
    assert not state.live.leased
    state.live.check_integrity(state.segment.policy)
    assert torch.equal(latents(make(model, state, context, 3)), latents(blocks[4:]))


def test_a_snapshot_that_could_not_be_written_leaves_no_lease(model, context, monkeypatch):
    begun = cv.start(RECIPES["everything"], model, **SIZE, seed=7)
    whole = latents(make(model, begun.uncached(), context, 9))
    blocks = make(model, begun, context, 7)
    state = snapshot(blocks[6].state)
    state.live.rewind(2)  # as an interrupted branch would
    write, calls = KVRing.write_prefix, []

    def failing(ring, keys, values):
        calls.append(1)
        write(ring, keys, ())

    monkeypatch.setattr(KVRing, "write_prefix", failing)
    with pytest.raises(ValueError, match="zip"):
        make(model, state, context, 2)
    monkeypatch.undo()
    assert calls and not state.live.leased
    for index in (1, 6):
        older = blocks[index].state._replace(live=state.live)
        rest = latents(make(model, older, context, 2))
        assert torch.equal(rest, whole[:, :, older.frames : older.frames + 6])
    release(state)
    assert state.live.ring is None
