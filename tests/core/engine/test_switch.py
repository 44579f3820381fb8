"""Prompt switches on the way, against a plain recomputation of what is kept."""

import pytest
import torch

import causvid_core as cv
from causvid_core.model.attention import torch_attention
from causvid_core.stream import session
from causvid_core.stream.noise import seeded_noise

from .streams import HAND_OVERS, RECIPES, SIZE, Stop, latents, make, no_waits
from .switch_scripts import SCRIPTS, SHORT, WINDOWS, Script, assert_close, slow_latents


@pytest.mark.parametrize("name", sorted(SCRIPTS))
@pytest.mark.parametrize("window", sorted(WINDOWS))
@pytest.mark.parametrize("positions", ["absolute", "relative"])
def test_switches_equal_recomputing_what_is_kept(wan, window, positions, name):
    model, script = wan(), Script(SCRIPTS[name])
    recipe = cv.Recipe(**{**SHORT, **WINDOWS[window]}, positions=positions)
    state = cv.start(recipe, model, **SIZE, seed=3)
    found = latents(make(model, state, script, 7))
    assert_close(found, slow_latents(model, recipe, script, 7, seeded_noise(3)))


def test_switches_of_a_batch(wan):
    model, script = wan(num_layers=3), Script({2: "recache", 4: "flush"})
    script.prompts = [torch.randn(2, 6, 12) for _ in range(3)]
    recipe = cv.Recipe(**SHORT, window=7, sink=1, positions="relative")
    state = cv.start(recipe, model, **SIZE, batch=2, seed=3)
    found = latents(make(model, state, script, 6))
    assert_close(found, slow_latents(model, recipe, script, 6, seeded_noise(3), batch=2))


def test_a_cut_is_a_new_stream(model, recipe):
    """The frames after it do not depend on what was before, apart from the noise's numbers."""
    script = Script({3: "cut"})
    cut = make(model, cv.start(recipe, model, **SIZE, seed=7), script, 6)
    noise = seeded_noise(7)
    values = {**recipe.to_dict(), "first_block_frames": None}
    fresh = cv.start(cv.Recipe.from_dict(values), model, **SIZE)
    alone = make(model, fresh, script.at(3), 3, noise=lambda block, *rest: noise(block + 3, *rest))
    assert torch.equal(latents(cut[3:]), latents(alone))


def test_a_new_scene_takes_the_steps_of_a_first_block(model, context):
    recipe = cv.Recipe(timesteps=(1000,), first_block_timesteps=(1000, 700, 400))
    records = []
    state = cv.start(recipe, model, **SIZE)
    make(model, state, Script({1: "flush", 2: "cut"}), 4, on_step=records.append)
    assert [record.steps for record in records] == [3, 3, 3, 1, 3, 3, 3, 1]


LONG = Script({2: "recache", 3: "flush", 6: "cut", 8: "recache", 9: "carry"})


@pytest.fixture
def long(model, recipe):
    """Eleven blocks with every switch, without interruption."""
    return make(model, cv.start(recipe, model, **SIZE, seed=7), LONG, 11)


@pytest.mark.parametrize("hand_over", [*HAND_OVERS, "file"])
def test_cuts_into_nodes_do_not_show(model, recipe, long, tmp_path, hand_over):
    def through_a_file(state, model):
        cv.save_stream(state, tmp_path / "s.safetensors")
        return cv.load_stream(tmp_path / "s.safetensors")

    hand_over = through_a_file if hand_over == "file" else hand_over
    state, parts = cv.start(recipe, model, **SIZE, seed=7), []
    for count in (2, 1, 3, 1, 2, 2):
        parts += make(model, hand_over(state, model), LONG, count)
        state = parts[-1].state
    assert torch.equal(latents(parts), latents(long))
    assert [block.switch for block in state.history] == [LONG.switch(i) for i in range(11)]


def test_every_state_goes_on_in_any_order(model, recipe, long):
    whole = latents(long)
    for index in (9, 2, 5, 1, 7, 5, 8):
        state = long[index].state
        rest = whole[:, :, state.frames :]
        for kind in (state, state.light()):
            assert torch.equal(latents(make(model, kind, LONG, 10 - index)), rest)


def test_branches_of_different_modes_do_not_disturb_each_other(model, recipe, context):
    begin = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 4)
    state, other = begin[-1].state, context.flip(1)
    alone = {
        mode: latents(make(model, state.light(), other, 3, switch=mode))
        for mode in ("carry", "recache", "flush", "cut")
    }
    assert len({out.sum().item() for out in alone.values()}) > 2
    branches = [(mode, cv.rollout(model, state, other, 3, switch=mode)) for mode in alone]
    made = {mode: [] for mode in alone}
    for _ in range(3):
        for mode, branch in branches:
            made[mode].append(next(branch))
    for mode, blocks in made.items():
        assert torch.equal(latents(blocks), alone[mode])
        again = make(model, blocks[0].state, other, 2, switch="cut")
        assert torch.equal(latents(again), latents(blocks[1:]))


def test_one_prompt_for_all_blocks_switches_where_it_changes(model, recipe, context):
    """A node with a new prompt on a connected stream; equal prompts are no switch."""
    script = Script({4: "flush"})
    whole = make(model, cv.start(recipe, model, **SIZE, seed=7), script, 6)
    start = cv.start(recipe, model, **SIZE, seed=7)
    first = make(model, start, script.at(0), 4, switch="cut")
    second = make(model, first[-1].state, script.at(4), 1, switch="flush")
    padded = torch.cat((script.at(4), torch.zeros(1, 3, 12)), dim=1)
    third = make(model, second[-1].state, padded, 1, switch="cut")
    assert torch.equal(latents(first + second + third), latents(whole))


def test_given_frames_follow_a_switch_too(model, recipe):
    script = Script({3: "recache"})
    made = make(model, cv.start(recipe, model, **SIZE, seed=1), script, 6)
    given = cv.prime(model, made[1].state, script, latents(made[2:5]))
    assert torch.equal(latents(make(model, given, script, 1)), made[5].latents)
    given = cv.prime(model, made[2].state, script.at(3), latents(made[3:5]), switch="recache")
    assert torch.equal(latents(make(model, given, script, 1)), made[5].latents)


@pytest.mark.parametrize("mode", ["recache", "flush", "cut"])
def test_an_interrupt_anywhere_leaves_every_state_valid(model, recipe, context, mode):
    """The host's Cancel is raised from within the attention function."""
    first = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 5)
    state, other = first[-1].state, context.flip(1)
    straight = latents(make(model, state.light(), context, 2))
    switched = latents(make(model, state.light(), other, 2, switch=mode))

    def attention(q, k, v, bias=None):
        attention.left -= 1
        if not attention.left:
            raise Stop
        return torch_attention(q, k, v, bias)

    bound = cv.bind(model, attention=attention)
    for attention.left in (1, 3, 6, 12):
        with pytest.raises(Stop):
            make(bound, state, other, 2, switch=mode)
        attention.left = 0
        older = make(model, first[2].state, context, 2)
        assert torch.equal(latents(older), latents(first[3:]))
        assert torch.equal(latents(make(bound, state, other, 2, switch=mode)), switched)
        assert torch.equal(latents(make(bound, state, context, 2)), straight)


def test_a_chain_with_switches_allocates_the_ring_once(model, allocations):
    state = cv.start(RECIPES["window"], model, **SIZE)
    for count in (3, 3, 1, 4):
        state = make(model, state, LONG, count)[-1].state
    assert len(allocations) == 2 * model.config.num_layers


@pytest.mark.parametrize(
    ("mode", "passes"), [("carry", 1), ("recache", 4), ("flush", 2), ("cut", 0)]
)
def test_what_a_switch_costs(model, context, monkeypatch, mode, passes):
    """Clean passes before the new prompt's first block; window 12 and sink 1 of blocks of 3."""
    recipe = cv.Recipe(**SHORT, window=12, sink=1)
    state = make(model, cv.start(recipe, model, **SIZE), context, 8)[-1].state
    done = []
    write = session.write_cache
    monkeypatch.setattr(session, "write_cache", lambda *a: done.append(1) or write(*a))
    switched = make(model, state, context.flip(1), 1, switch=mode)[-1].state
    assert len(done) == passes
    done.clear()
    make(model, switched.light(), context.flip(1), 1)
    assert mode == "carry" or len(done) == passes + 1


def test_a_replay_reaches_back_within_its_scene_alone(wan, context, monkeypatch):
    model = wan(num_layers=4)
    recipe = cv.Recipe(**SHORT, window=6, sink=1)
    state = make(model, cv.start(recipe, model, **SIZE), context, 6)[-1].state
    state = make(model, state, context.flip(1), 2, switch="cut")[-1].state
    done = []
    write = session.write_cache
    monkeypatch.setattr(session, "write_cache", lambda *a: done.append(1) or write(*a))
    make(model, state.light(), context.flip(1), 1)
    assert len(done) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", ["carry", "recache", "flush", "cut"])
def test_a_switch_never_waits_for_the_device(wan, mode):
    model = wan(dtype=torch.bfloat16).cuda()
    recipe = cv.Recipe(**SHORT, window=9, sink=3)
    rollout = cv.rollout(model, cv.start(recipe, model, **SIZE), Script({3: mode, 5: mode}), 8)
    next(rollout)
    with no_waits():
        for _ in rollout:
            pass
