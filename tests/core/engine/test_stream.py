"""What a stream promises: cut anywhere, continued any number of times, in constant memory."""

import copy
import pickle
import time

import pytest
import torch

import causvid_core as cv
from causvid_core.model import kv_cache, rope
from causvid_core.model.attention import torch_attention
from causvid_core.stream import session
from causvid_core.stream.noise import seeded_noise

SIZE = {"height": 4, "width": 6}
RECIPES = {
    "everything": cv.Recipe(timesteps=(1000, 600), shift=5.0),
    "window": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=9, sink=3),
    "relative": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=9, sink=1, positions="relative"),
    "seam": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=8, first_block_frames=1),
}


@pytest.fixture(params=sorted(RECIPES))
def recipe(request):
    return RECIPES[request.param]


def latents(blocks):
    return torch.cat([block.latents for block in blocks], dim=2)


def make(model, state, context, blocks, **options):
    """All blocks of a rollout."""
    return list(cv.rollout(model, state, context, blocks, **options))


@pytest.fixture
def model(wan):
    return wan()


@pytest.fixture
def whole(model, context, recipe):
    """Eight blocks without interruption."""
    return latents(make(model, cv.start(recipe, model, **SIZE, seed=7), context, 8))


def hand_over_live(state, model):
    return state


def hand_over_light(state, model):
    return state.light()


def hand_over_exact(state, model):
    exact = state.exact()
    state.release()
    return exact


def hand_over_recomputed(state, model):
    return state.light().exact(model)._replace(live=cv.start(state.recipe, model, **SIZE).live)


def hand_over_copied(state, model):
    return copy.deepcopy(state)


def hand_over_pickled(state, model):
    return pickle.loads(pickle.dumps(state.exact()))  # noqa: S301 - bytes made here


HAND_OVERS = [value for name, value in sorted(globals().items()) if name.startswith("hand_over_")]


@pytest.mark.parametrize("hand_over", HAND_OVERS)
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


def test_a_linear_chain_allocates_the_ring_once(model, context, monkeypatch):
    made = []
    allocate = kv_cache.KVRing._allocate
    monkeypatch.setattr(
        kv_cache.KVRing,
        "_allocate",
        lambda ring, tokens: made.append(tokens) or allocate(ring, tokens),
    )
    state = cv.start(RECIPES["window"], model, **SIZE)
    for _ in range(3):
        state = make(model, state, context, 4)[-1].state
    assert len(made) == 2 * model.config.num_layers
    make(model, state.light(), context, 1)
    assert len(made) == 4 * model.config.num_layers


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
    seconds, rings = [], set()
    begun = time.perf_counter()
    for block in cv.rollout(model, cv.start(recipe, model, **SIZE), context, 100):
        seconds.append(time.perf_counter() - begun)
        live = block.state.live
        rings.add((live.ring.keys[0].data_ptr(), live.ring.tokens, live.ring.allocations))
        begun = time.perf_counter()
    assert block.state.latents.shape[2] == 300 and block.state.latents.isfinite().all()
    assert block.latents.std() > 0.1
    assert max(asked) == 8 and min(asked) == 0
    assert len(rings) == 1
    early, late = (sorted(part)[len(part) // 2] for part in (seconds[5:35], seconds[70:]))
    assert late < 2 * early


def test_replaying_a_long_stream_is_exact_and_short(model, context, recipe, monkeypatch):
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 26)
    passes = []
    write = session.write_cache
    monkeypatch.setattr(session, "write_cache", lambda *a: passes.append(1) or write(*a))
    tail = make(model, blocks[23].state.light(), context, 2)
    assert torch.equal(latents(tail), latents(blocks[24:]))
    assert len(passes) == 25 if recipe.window is None else len(passes) < 16
    state = blocks[23].state.light().exact(model)
    assert torch.equal(latents(make(model, state, context, 2)), latents(blocks[24:]))


def test_an_interrupted_replay_is_not_mistaken_for_a_whole_one(model, context, recipe):
    """The host's Cancel is raised from within the attention function."""
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 26)
    state = blocks[23].state.light()

    def attention(q, k, v, bias=None):
        attention.calls += 1
        if attention.calls == attention.limit:
            raise Stop
        return torch_attention(q, k, v, bias)

    bound = cv.bind(model, attention=attention)
    for attention.limit in (3, 9, 20):
        attention.calls = 0
        with pytest.raises(Stop):
            make(bound, state, context, 2)
        attention.limit = 0
        assert torch.equal(latents(make(bound, state, context, 2)), latents(blocks[24:]))


class Stop(Exception):
    """Raised by a callback."""


def test_an_error_or_a_closed_rollout_leaves_every_state_valid(model, context, recipe, whole):
    state = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 4)[-1].state
    rest = whole[:, :, state.frames :]

    def stop(record):
        if (record.block, record.step) == stop.at:
            raise Stop

    for stop.at in ((4, 0), (4, 1), (5, 1)):
        seen = []
        with pytest.raises(Stop):
            seen.extend(cv.rollout(model, state, context, 3, on_step=stop))
        assert torch.equal(latents(make(model, state, context, 4)), rest)
    rollout = cv.rollout(model, state, context, 3)
    middle = next(rollout).state
    rollout.close()
    assert torch.equal(latents(make(model, middle, context, 3)), rest[:, :, 3:])
    assert torch.equal(latents(make(model, state, context, 4)), rest)


def test_an_interrupted_block_needs_no_recomputing(model, context, recipe, caplog):
    state = make(model, cv.start(recipe, model, **SIZE), context, 4)[-1].state
    with pytest.raises(Stop):
        make(model, state, context, 1, on_step=raise_stop)
    assert make(model, state, context, 1)[-1].state.live is state.live


def raise_stop(record):
    raise Stop


def test_a_yielded_block_may_be_changed_by_its_owner(model, context, recipe, whole):
    parts = []
    for block in cv.rollout(model, cv.start(recipe, model, **SIZE, seed=7), context, 8):
        parts.append(block.latents.clone())
        block.state.latents.zero_()
        block.latents.zero_()
    assert torch.equal(torch.cat(parts, dim=2), whole)


def test_rollout_leaves_no_trace_outside(model, context, recipe):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    state = cv.start(recipe, model, **SIZE)
    for _ in cv.rollout(model, state, context, 2):
        assert torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert state.blocks == 0 and state.history == ()


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


def test_another_model_never_reads_the_first_ones_cache(wan, context, recipe):
    first, second = wan(seed=0), wan(seed=1)
    state = make(first, cv.start(recipe, first, **SIZE), context, 3)[-1].state
    live = latents(make(second, state, context, 2))
    light = latents(make(second, state.light(), context, 2))
    assert torch.equal(live, light)
    exact = make(first, cv.start(recipe, first, **SIZE), context, 3)[-1].state.exact()
    assert torch.equal(latents(make(second, exact, context, 2)), light)


def test_states_made_in_inference_mode_go_on_outside(model, context, recipe, whole):
    with torch.inference_mode():
        state = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 5)[-1].state
    assert torch.equal(latents(make(model, state, context, 3)), whole[:, :, state.frames :])


def test_a_budget_decides_between_exact_and_light(model, context, recipe):
    state = make(model, cv.start(recipe, model, **SIZE), context, 2)[-1].state
    size = state.exact().snapshot.nbytes
    assert state.within(size).snapshot.nbytes == size
    assert state.within(size - 1).snapshot is None
    assert state.exact().within(size - 1).snapshot is None
    state.release()
    assert state.within(size).snapshot is None
    with pytest.raises(ValueError, match="pass the model"):
        state.exact()


def test_only_tensors_in_tuples_hold_memory(model, context):
    """The host counts what it finds in tensors, lists and tuples."""
    state = make(model, cv.start(RECIPES["window"], model, **SIZE), context, 2)[-1].state.exact()

    def count(value):
        if isinstance(value, torch.Tensor):
            assert value.device.type == "cpu"
            return value.nbytes
        return sum(map(count, value)) if isinstance(value, tuple) else 0

    assert count(state) >= state.snapshot.nbytes + state.latents.nbytes


def test_steps_are_reported(model, context):
    recipe = cv.Recipe(timesteps=(1000, 750, 500), first_block_frames=1)
    records = []
    make(model, cv.start(recipe, model, **SIZE), context, 2, on_step=records.append)
    assert [record[:4] for record in records] == [
        (block, 2, step, 3) for block in range(2) for step in range(3)
    ]
    assert [record.first_frame for record in records] == [0, 0, 0, 1, 1, 1]
    assert [record.x0.shape[2] for record in records] == [1, 1, 1, 3, 3, 3]


def test_video_to_video_keeps_more_of_the_input_at_lower_strength(model, context):
    recipe = cv.Recipe(timesteps=(1000, 757, 522), window=9)
    state = cv.start(recipe, model, **SIZE)
    source = torch.randn(1, 16, 9, 4, 6)
    free = latents(make(model, state, context, 3))
    assert torch.equal(latents(make(model, state, context, 3, source=source)), free)
    steps = []
    half = make(model, state, context, 3, source=source, strength=0.6, on_step=steps.append)
    assert [record.step for record in steps] == [2, 2, 2]
    streamed = make(model, state, context, 9, source=source.split(3, dim=2), strength=0.6)
    assert torch.equal(latents(streamed), latents(half)) and len(streamed) == 3

    schedule = recipe.schedule(0)
    noise = seeded_noise(0)(0, 0, (1, 16, 3, 4, 6))
    sigma = schedule.sigmas[2]
    noisy = (1 - sigma) * source[:, :, :3] + sigma * noise
    times = torch.full((1, 3), schedule.timesteps[2])
    with torch.no_grad():
        flow = cv.forward_all(model, noisy, times, context)
    assert (half[0].latents - (noisy - sigma * flow)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": 0}, "ask for at least 1"),
        ({"context": torch.zeros(1, 4, 13)}, "text encoder"),
        ({"context": torch.zeros(3, 4, 12)}, "3 videos, the stream makes 1"),
        ({"source": torch.zeros(1, 16, 3, 4, 6)}, "2 blocks need 6"),
        ({"source": torch.zeros(1, 16, 6, 4, 6), "strength": 0}, "strength is 0"),
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
        latents(make(model, state.exact(), context, 2)),
        latents(make(model, state.light(), context, 2)),
    )
