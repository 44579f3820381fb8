"""Rollouts: noise, prompts, given frames, input video, reports and checks."""

import pytest
import torch

import causvid_core as cv
from causvid_core.stream import snapshot
from causvid_core.stream.noise import seeded_noise

from .streams import RECIPES, SIZE, latents, make


def test_noise_depends_on_seed_block_step_and_element_alone():
    noise = seeded_noise(5)
    drawn = noise(2, 1, (2, 16, 3, 4, 6))
    torch.manual_seed(9)
    assert torch.equal(seeded_noise(5)(2, 1, (2, 16, 3, 4, 6)), drawn)
    assert torch.equal(noise(2, 1, (1, 16, 3, 4, 6)), drawn[:1])
    others = [seeded_noise(6)(2, 1, (2, 16, 3, 4, 6)), noise(1, 2, (2, 16, 3, 4, 6))]
    for other in (*others, noise(2, 0, (2, 16, 3, 4, 6)), drawn.flip(0)):
        assert not torch.equal(other, drawn)
    assert abs(drawn.mean()) < 0.1 and abs(drawn.std() - 1) < 0.1


def test_elements_of_a_batch_are_independent(model, context):
    recipe = RECIPES["relative"]
    prompts = torch.cat((context, torch.randn_like(context)))
    both = latents(make(model, cv.start(recipe, model, **SIZE, batch=2), prompts, 5))
    one = latents(make(model, cv.start(recipe, model, **SIZE), context, 5))
    assert (both[:1] - one).abs().max() < 1e-4 * one.std()


def test_given_frames_are_context(model, context, recipe):
    state = cv.start(recipe, model, **SIZE, seed=1)
    made = make(model, state, context, 4)
    given = cv.prime(model, state, context, latents(made))
    assert torch.equal(given.latents, latents(made))
    expected = make(model, made[-1].state, context, 2)
    assert torch.equal(latents(make(model, given, context, 2)), latents(expected))
    parts = cv.prime(model, made[1].state, context, latents(made[2:]))
    assert torch.equal(latents(make(model, parts, context, 2)), latents(expected))


def test_each_block_keeps_the_prompt_it_was_made_with(model, context, recipe):
    """A plan switches prompts; replaying the stream gives every block its own again."""

    class Switch:
        prompts = (context, torch.randn(1, 7, 12))

        def at(self, block_index):
            return self.prompts[block_index >= 3]

    plain = latents(make(model, cv.start(recipe, model, **SIZE), context, 5))
    blocks = make(model, cv.start(recipe, model, **SIZE), Switch(), 5)
    assert torch.equal(latents(blocks[:3]), plain[:, :, : blocks[3].first_frame])
    assert not torch.equal(latents(blocks), plain)
    ahead = latents(make(model, blocks[-1].state.light(), context, 2))
    assert torch.equal(latents(make(model, blocks[-1].state, context, 2)), ahead)


def test_steps_are_reported(model, context):
    recipe = cv.Recipe(timesteps=(1000, 750, 500), first_block_frames=1)
    records = []
    make(model, cv.start(recipe, model, **SIZE), context, 2, on_step=records.append)
    assert [record[:4] for record in records] == [
        (block, 2, step, 3) for block in range(2) for step in range(3)
    ]
    assert [record.first_frame for record in records] == [0, 0, 0, 1, 1, 1]
    assert [record.x0.shape[2] for record in records] == [1, 1, 1, 3, 3, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": 0}, "ask for at least 1"),
        ({"context": torch.zeros(1, 4, 13)}, "text encoder"),
        ({"context": torch.zeros(3, 4, 12)}, "3 videos, but the stream makes 1"),
        ({"source": torch.zeros(1, 16, 3, 4, 6)}, "2 blocks need 6"),
        ({"source": torch.zeros(1, 16, 6, 4, 6), "strength": -0.1}, "strength is -0.1"),
    ],
)
def test_arguments_are_checked_before_any_work(model, context, arguments, message):
    state = cv.start(cv.Recipe(), model, **SIZE)
    with pytest.raises(ValueError, match=message):
        cv.rollout(model, state, **{"context": context, "blocks": 2, **arguments})


def test_shapes_of_noise_source_and_given_frames_are_checked(model, context):
    state = cv.start(cv.Recipe(), model, **SIZE)
    with pytest.raises(ValueError, match="noise has shape"):
        make(model, state, context, 1, noise=lambda block, step, shape: torch.zeros(3))
    with pytest.raises(ValueError, match="block 0 of the input"):
        make(model, state, context, 1, source=[torch.zeros(1, 16, 2, 4, 6)], strength=0.5)
    with pytest.raises(ValueError, match="do not fill whole blocks"):
        cv.prime(model, state, context, torch.zeros(1, 16, 4, 4, 6))
    with pytest.raises(ValueError, match="given latents"):
        cv.prime(model, state, context, torch.zeros(1, 16, 3, 4, 8))
    with pytest.raises(ValueError, match="cannot be cut"):
        cv.start(cv.Recipe(), model, height=5, width=6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_streams(wan, context, dtype):
    recipe = RECIPES["relative"]
    single, half = (
        latents(make(m, cv.start(recipe, m, **SIZE), context, 5)) for m in (wan(), wan(dtype=dtype))
    )
    assert half.dtype == torch.float32
    assert (half - single).std() < 0.1 * single.std()
    model = wan(dtype=dtype)
    state = make(model, cv.start(recipe, model, **SIZE), context, 4)[-1].state
    assert state.live.ring.keys[0].dtype == dtype
    assert torch.equal(
        latents(make(model, snapshot(state), context, 2)),
        latents(make(model, state.light(), context, 2)),
    )
