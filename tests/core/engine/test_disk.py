"""Latents that go to the disk: streams are the same, and memory does not hold them."""

from pathlib import Path

import pytest
import torch

import causvid_core as cv
from causvid_core.storage.disk import DiskStore

from .streams import SIZE, Stop, latents, make, raise_stop

BLOCK_BYTES = 16 * 3 * 4 * 6 * 4


@pytest.fixture
def store(tmp_path):
    """Moves two blocks at a time."""
    return DiskStore(tmp_path, 2 * BLOCK_BYTES)


def on_disk(state):
    """How many blocks share their memory with another one, as those in a file do."""
    return sum(b.latents.untyped_storage().nbytes() > BLOCK_BYTES for b in state.history)


def test_a_stream_on_the_disk_is_the_same(model, context, recipe, whole, store):
    state = cv.start(recipe, model, **SIZE, seed=7)
    blocks = make(model, state, context, 5, store=store)
    assert on_disk(blocks[-1].state) >= 3
    state = make(model, blocks[2].state, context, 5, store=store)[-1].state
    assert on_disk(state) >= 6
    assert torch.equal(state.latents, whole)


def test_it_replays_branches_and_travels_in_files(model, context, windowed, store, tmp_path):
    state = cv.start(windowed, model, **SIZE, seed=7)
    whole = latents(make(model, state, context, 8))
    state = make(model, state, context, 6, store=store)[-1].state
    cv.save_stream(state, tmp_path / "a.safetensors")
    loaded = cv.load_stream(tmp_path / "a.safetensors")
    mapped = cv.load_stream(tmp_path / "a.safetensors", store)
    assert on_disk(loaded) == 0 and on_disk(mapped) == 6
    for begun in (state.light(), state, loaded, mapped):
        assert torch.equal(begun.latents, whole[:, :, :18])
        for _ in range(2):
            assert torch.equal(latents(make(model, begun, context, 2)), whole[:, :, 18:])


def test_nothing_stays_in_the_folder_but_what_a_stream_uses(model, context, windowed, store):
    state = make(model, cv.start(windowed, model, **SIZE), context, 4, store=store)[-1].state
    first = state.history[0].latents.clone()
    for path in store.folder.iterdir():  # Windows alone leaves them there
        path.unlink()
    assert torch.equal(state.history[0].latents, first)


def test_an_error_leaves_states_as_they_are(model, context, windowed, store):
    state = make(model, cv.start(windowed, model, **SIZE), context, 3, store=store)[-1].state
    kept = state.latents
    with pytest.raises(Stop):
        make(model, state, context, 2, on_step=raise_stop, store=store)
    assert torch.equal(state.latents, kept)
    assert len(make(model, state, context, 1)) == 1


def test_what_is_changed_in_memory_is_not_changed_for_others(store):
    [moved] = store.move([torch.arange(6.0)])
    moved += 1
    [other] = store.move([torch.arange(6.0)])
    assert moved.tolist() == [1, 2, 3, 4, 5, 6] and other.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_folder_that_cannot_be_written_is_named(model, context, windowed, tmp_path):
    gone = DiskStore(tmp_path / "gone", BLOCK_BYTES)
    with pytest.raises(OSError, match=f"cannot be written to {Path(gone.folder)}"):
        make(model, cv.start(windowed, model, **SIZE), context, 2, store=gone)
