"""Streams that go on with another model or recipe, against a plain recomputation."""

import pytest
import torch

import causvid_core as cv
from causvid_core.stream import rebase, snapshot, snapshot_within
from causvid_core.stream.noise import seeded_noise

from .recompute import SlowStream
from .streams import SIZE, latents, make
from .switch_scripts import SHORT, WINDOWS, Script, assert_close


@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize("window", sorted(WINDOWS))
def test_another_model_takes_the_stream_over(wan, context, positions, window):
    first, second = wan(seed=0), wan(seed=1)
    recipe = cv.Recipe(**{**SHORT, **WINDOWS[window]}, positions=positions)
    slow = SlowStream(seeded_noise(3))
    for index in range(7):
        switch = "recache" if index == 4 else "carry"
        slow.block(second if index >= 4 else first, recipe, context, switch)
    state = make(first, cv.start(recipe, first, **SIZE, seed=3), context, 4)[-1].state
    other = rebase(snapshot(state), second)
    assert other.snapshot is None and other.live.ring is None
    assert other.model == cv.bind(second).fingerprint()
    found = make(second, other, context, 3)
    assert_close(latents(found), torch.cat(slow.made[4:], dim=2))
    assert torch.equal(
        latents(make(second, found[0].state.light(), context, 2)), latents(found[1:])
    )
    assert make(first, state, context, 1)[-1].state.live is state.live


def test_another_recipe_takes_the_stream_over(model, context):
    old = cv.Recipe(**SHORT, window=7, sink=2)
    new = cv.Recipe(**SHORT, window=9, sink=1, positions="relative")
    slow = SlowStream(seeded_noise(3))
    for index in range(7):
        switch = "recache" if index == 4 else "carry"
        slow.block(model, new if index >= 4 else old, context, switch)
    state = make(model, cv.start(old, model, **SIZE, seed=3), context, 4)[-1].state
    found = make(model, rebase(state, model, new), context, 3)
    assert_close(latents(found), torch.cat(slow.made[4:], dim=2))


def test_other_steps_keep_the_cache(model, context, recipe):
    state = make(model, cv.start(recipe, model, **SIZE), context, 4)[-1].state
    steps = cv.Recipe.from_dict({**recipe.to_dict(), "timesteps": (1000, 800, 300)})
    other = rebase(state, model, steps)
    assert other.live is state.live and other.switch == "carry" and other.recipe == steps
    assert make(model, other, context, 1)[-1].state.live is state.live
    assert rebase(state, model) == state


def test_a_rebased_stream_survives_its_file(wan, context, recipe, tmp_path):
    first, second = wan(seed=0), wan(seed=1)
    state = rebase(make(first, cv.start(recipe, first, **SIZE), context, 4)[-1].state, second)
    expected = latents(make(second, state, context, 2))
    assert snapshot(state) is state and snapshot_within(state, 2**30).snapshot is None
    cv.save_stream(state, tmp_path / "s.safetensors")
    loaded = cv.load_stream(tmp_path / "s.safetensors")
    assert torch.equal(latents(make(second, loaded, context, 2)), expected)
    given = cv.prime(second, loaded, context, expected[:, :, :3])
    assert torch.equal(latents(make(second, given, context, 1)), expected[:, :, 3:])
    cut = latents(make(second, loaded, context.flip(1), 2, switch="cut"))
    assert torch.equal(
        cut, latents(make(second, state._replace(switch="carry"), context.flip(1), 2, switch="cut"))
    )


def test_what_cannot_be_taken_over_is_refused(wan, model, context):
    state = make(model, cv.start(cv.Recipe(**SHORT), model, **SIZE), context, 1)[-1].state
    with pytest.raises(ValueError, match=r"blocks of 3 latent frames .* makes blocks of 1"):
        rebase(state, model, cv.Recipe(frames_per_block=1))
    with pytest.raises(ValueError, match="start a new stream"):
        rebase(state, model, cv.Recipe(first_block_frames=1))
    with pytest.raises(ValueError, match="16 channels, the model makes 8"):
        rebase(state, wan(in_dim=8, out_dim=8), None)
    with pytest.raises(ValueError, match="'blend'; choose carry, recache, flush or cut"):
        cv.rollout(model, state, context, 1, switch="blend")
    with pytest.raises(ValueError, match="'fade'; choose"):
        make(model, state, Script({1: "fade"}), 1)
