"""States stay valid: after errors, replays, other models, and within a budget."""

import pytest
import torch

import causvid_core as cv
from causvid_core.model.attention import torch_attention
from causvid_core.stream import release, session, snapshot, snapshot_within
from causvid_core.stream.prompt_cache import Prompts

from .streams import RECIPES, SIZE, Stop, latents, make, raise_stop


def test_replaying_a_long_stream_is_exact_and_short(model, context, recipe, monkeypatch):
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 26)
    passes = []
    write = session.write_cache
    monkeypatch.setattr(session, "write_cache", lambda *a: passes.append(1) or write(*a))
    tail = make(model, blocks[23].state.light(), context, 2)
    assert torch.equal(latents(tail), latents(blocks[24:]))
    assert len(passes) == 25 if recipe.window is None else len(passes) < 16
    state = snapshot(blocks[23].state.light(), model)
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


def test_another_model_never_reads_the_first_ones_cache(wan, context, recipe):
    first, second = wan(seed=0), wan(seed=1)
    state = make(first, cv.start(recipe, first, **SIZE), context, 3)[-1].state
    live = latents(make(second, state, context, 2))
    light = latents(make(second, state.light(), context, 2))
    assert torch.equal(live, light)
    exact = snapshot(make(first, cv.start(recipe, first, **SIZE), context, 3)[-1].state)
    assert torch.equal(latents(make(second, exact, context, 2)), light)


def test_states_made_in_inference_mode_go_on_outside(model, context, recipe, whole):
    with torch.inference_mode():
        state = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 5)[-1].state
    assert torch.equal(latents(make(model, state, context, 3)), whole[:, :, state.frames :])


def test_eight_bits_never_reach_a_ring_that_exact_states_share(model, context):
    recipe = cv.Recipe(timesteps=(1000, 600), shift=5.0)
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 6)
    coarse = snapshot_within(blocks[4].state, 2**30, int8=True)
    with pytest.raises(Stop):
        make(model, blocks[0].state, context, 1, on_step=raise_stop)
    assert make(model, coarse, context, 1)[-1].state.live is not coarse.live
    assert torch.equal(latents(make(model, blocks[3].state, context, 2)), latents(blocks[4:]))


def test_a_snapshot_is_used_where_the_ring_holds_less(model, context, recipe, whole, monkeypatch):
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 6)
    state = snapshot(blocks[5].state)
    state.live.rewind(1)  # as an interrupted branch would
    passes = []
    write = session.write_cache
    monkeypatch.setattr(session, "write_cache", lambda *a: passes.append(1) or write(*a))
    tail = make(model, state, context, 2)
    assert torch.equal(latents(tail), whole[:, :, state.frames :]) and len(passes) == 2


def test_a_budget_decides_between_exact_and_light(model, context, recipe):
    state = make(model, cv.start(recipe, model, **SIZE), context, 2)[-1].state
    size = snapshot(state).snapshot.nbytes
    assert snapshot_within(state, size).snapshot.nbytes == size
    assert snapshot_within(state, size - 1).snapshot is None
    assert snapshot_within(snapshot(state), size - 1).snapshot is None
    release(state)
    assert snapshot_within(state, size).snapshot is None
    with pytest.raises(ValueError, match="pass the model"):
        snapshot(state)


def test_only_tensors_in_tuples_hold_memory(model, context):
    """The host counts what it finds in tensors, lists and tuples."""
    state = snapshot(make(model, cv.start(RECIPES["window"], model, **SIZE), context, 2)[-1].state)

    def count(value):
        if isinstance(value, torch.Tensor):
            assert value.device.type == "cpu"
            return value.nbytes
        return sum(map(count, value)) if isinstance(value, tuple) else 0

    assert count(state) >= state.snapshot.nbytes + state.latents.nbytes


def test_a_session_refuses_calls_out_of_order(model, context):
    bound, state = cv.bind(model), cv.start(RECIPES["window"], model, **SIZE)
    with torch.no_grad(), session.Session(bound, state, 1, Prompts(bound, 1, context)) as run:
        with run.block() as block:
            x = torch.zeros(block.shape)
            with pytest.raises(RuntimeError, match="unfinished"), run.block():
                pass
            assert block.flow(x, 1000).shape == x.shape
            block.finish(x)
            with pytest.raises(RuntimeError, match="block 0 is finished"):
                block.flow(x, 1000)
            with pytest.raises(RuntimeError, match="block 0 is finished"):
                block.finish(x)
        with pytest.raises(RuntimeError, match="at its end"), run.block():
            pass


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        (lambda live: live.block_ids.append(live.block_ids[0]), "held twice"),
        (lambda live: setattr(live, "written", 1), "2 blocks are held, but 1 latent frames"),
        (lambda live: setattr(live, "signature", ""), "without a signature"),
        (lambda live: setattr(live, "frame_tokens", 0), "no tokens"),
        (lambda live: setattr(live, "ring", None), "without a ring"),
        (lambda live: live.ring.keys.append(torch.zeros(1)), "layers differ"),
        (lambda live: setattr(live, "frame_tokens", 99), "overflow the ring"),
    ],
)
def test_an_inconsistent_cache_is_named(model, context, change, violation):
    state = make(model, cv.start(RECIPES["window"], model, **SIZE), context, 3)[-1].state
    state.live.check_integrity(state.segment.policy)
    change(state.live)
    with pytest.raises(RuntimeError, match=violation):
        state.live.check_integrity(state.segment.policy)
