"""Video to video: how much of the input stays, and how the input is taken in."""

import pytest
import torch

import causvid_core as cv
from causvid_core.stream.noise import seeded_noise

from .engine.conftest import make_model
from .engine.streams import RECIPES, SIZE, latents, make

RECIPE = cv.Recipe(timesteps=(1000, 757, 522), window=9)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def state(model):
    return cv.start(RECIPE, model, **SIZE, seed=3)


@pytest.fixture(scope="module")
def context():
    return torch.randn(1, 5, 12, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def source():
    return torch.randn(1, 16, 9, 4, 6, generator=torch.Generator().manual_seed(6))


def test_strength_one_ignores_the_input(model, state, context, source):
    free = latents(make(model, state, context, 3))
    assert torch.equal(latents(make(model, state, context, 3, source=source)), free)
    lost = make(model, state, context, 3, source=source * torch.nan, strength=lambda block: 1)
    assert torch.equal(latents(lost), free)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_strength_zero_gives_the_input_back(model, context, source, recipe):
    """And the stream goes on as if it had been primed with it."""
    source = source[:, :, : 7 if recipe == "seam" else 9]
    state = cv.start(RECIPES[recipe], model, **SIZE, seed=3)
    calls = []
    kept = make(model, state, context, 3, source=source, strength=0, on_step=calls.append)
    assert torch.equal(latents(kept), source) and not calls
    primed = cv.prime(model, state, context, source)
    ahead = latents(make(model, primed, context, 2))
    assert torch.equal(latents(make(model, kept[-1].state, context, 2)), ahead)


def test_a_block_is_noised_to_strength_and_denoised_from_there(model, state, context, source):
    """By hand: 0.6 lies between the steps 757 and 522, so 757 moves down to it."""
    steps = []
    made = make(model, state, context, 1, source=source, strength=0.6, on_step=steps.append)
    assert [record.step for record in steps] == [1, 2]
    noise, part = seeded_noise(3), source[:, :, :3]
    shape, last = tuple(part.shape), RECIPE.schedule(0)
    x0 = part
    for sigma, time, step in ((0.6, 600.0, 0), (last.sigmas[2], last.timesteps[2], 2)):
        noisy = (1 - sigma) * x0 + sigma * noise(0, step, shape)
        with torch.no_grad():
            flow = cv.forward_all(model, noisy, torch.full((1, 3), time), context)
        x0 = noisy - sigma * flow
    torch.testing.assert_close(made[0].latents, x0, atol=1e-5, rtol=0)


def test_less_strength_keeps_more_of_the_input(model, state, context, source):
    def distance(strength):
        made = latents(make(model, state, context, 3, source=source, strength=strength))
        return (made - source).square().mean()

    distances = [distance(strength) for strength in (0, 0.1, 0.3, 0.5, 0.7, 0.9)]
    assert distances == sorted(distances) and len(set(distances)) == 6


def test_every_block_may_have_a_strength_of_its_own(model, state, context, source):
    asked = []

    def strength(block):
        asked.append(block)
        return (0.0, 0.5, 1.0)[block]

    mixed = make(model, state, context, 3, source=source, strength=strength)
    assert asked == [0, 1, 2] and torch.equal(mixed[0].latents, source[:, :, :3])
    rest = make(model, mixed[0].state, context, 1, source=source[:, :, 3:], strength=0.5)
    assert torch.equal(mixed[1].latents, rest[0].latents)
    free = make(model, mixed[1].state, context, 1)
    assert torch.equal(mixed[2].latents, free[0].latents)
    with pytest.raises(ValueError, match="strength is 1.5"):
        make(model, state, context, 3, source=source, strength=lambda block: 1.5)


def test_an_iterator_is_asked_for_one_block_at_a_time(model, state, context, source):
    """And where it ends, the rollout ends."""
    pulled = []

    def blocks():
        for part in source.split(3, dim=2):
            pulled.append(part)
            yield part

    whole = latents(make(model, state, context, 3, source=source, strength=0.5))
    run = cv.rollout(model, state, context, 9, source=blocks(), strength=0.5)
    made = []
    for block in run:
        made.append(block)
        assert len(pulled) == len(made)
    assert len(made) == 3 and torch.equal(latents(made), whole)
    after = latents(make(model, made[-1].state, context, 1))
    assert torch.equal(after, latents(make(model, made[-1].state.light(), context, 1)))


def test_one_input_serves_every_video_of_a_batch(model, context, source):
    state = cv.start(RECIPE, model, **SIZE, batch=2)
    both = latents(make(model, state, context, 3, source=source, strength=0))
    assert torch.equal(both, source.expand(2, -1, -1, -1, -1))


def test_an_error_of_the_input_leaves_the_stream_valid(model, state, context, source):
    def broken():
        yield source[:, :, :3]
        raise OSError("the file ends here")

    before = make(model, state, context, 2)
    expected = latents(make(model, before[-1].state.light(), context, 1))
    with pytest.raises(OSError, match="ends here"):
        make(model, before[-1].state, context, 3, source=broken(), strength=0.5)
    assert torch.equal(latents(make(model, before[-1].state, context, 1)), expected)
