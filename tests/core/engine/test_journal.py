"""Checkpoints appended to one file: flat in the stream's length, exact after a kill."""

import os
import random

import pytest
import torch

import causvid_core as cv
from causvid_core.storage import StreamJournal, load_journal
from causvid_core.stream import StreamBlock, snapshot_within
from causvid_core.stream.state import StreamState

from .stream_files import same
from .streams import SIZE

DAY = 24 * 3600 * 16 // 4


@pytest.fixture
def path(tmp_path):
    return tmp_path / "stream.journal"


def tiny(**changes):
    """An empty framewise stream of one latent a frame."""
    return StreamState(cv.Recipe(frames_per_block=1), 1, 1, 1, 4, "model", **changes)


def longer(state, blocks, context=None):
    context = torch.ones(1, 2, 3) if context is None else context
    made = [
        StreamBlock(f"{n:x}", torch.full((1, 16, 1, 1, 1), float(n)), context)
        for n in range(state.blocks, state.blocks + blocks)
    ]
    return state._replace(history=(*state.history, *made))


def test_it_gives_back_what_was_appended(wan, windowed, context, path):
    model = wan()
    begun = cv.start(windowed, model, **SIZE, seed=4)
    states = [block.state for block in cv.rollout(model, begun, context, 6)]
    assert load_journal(path, begun) is None
    written = StreamJournal(path, begun)
    for state in states[::2]:
        written.append(state.light())
        assert same(load_journal(path, begun), state.light())
    written.close()
    kept = snapshot_within(states[-1], 10**9, int8=True)
    again = StreamJournal(path, begun)
    again.append(kept)
    again.append(kept)
    again.close()
    assert same(load_journal(path, begun), kept)
    assert len(list(path.parent.iterdir())) == 2


def test_a_kill_at_any_byte_leaves_the_checkpoints_before(path):
    begun = tiny()
    states = [longer(begun, 2), longer(begun, 3)]
    written = StreamJournal(path, begun)
    written.append(states[0])
    before = path.stat().st_size
    written.append(states[1])
    written.close()
    whole = path.read_bytes()
    for cut in range(before, len(whole)):
        path.write_bytes(whole[:cut])
        assert same(load_journal(path, begun), states[0])
    for cut in random.Random(1).sample(range(before, len(whole)), 20):
        for rest in (b"", bytes(len(whole) - cut)):
            path.write_bytes(whole[:cut] + rest)
            again = StreamJournal(path, begun)
            assert again.blocks == 2
            again.append(states[1])
            again.close()
            assert path.read_bytes() == whole


def test_damage_before_the_last_checkpoint_is_refused(path):
    begun = tiny()
    written = StreamJournal(path, begun)
    for blocks in (1, 2, 3):
        written.append(longer(begun, blocks))
    written.close()
    whole = path.read_bytes()
    third = whole.rindex(b"CVjournl")
    for place in random.Random(2).sample(range(third), 100):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"^stream\.journal "):
            load_journal(path, begun)


def test_another_stream_is_refused(path):
    written = StreamJournal(path, tiny())
    written.append(longer(tiny(), 2))
    with pytest.raises(ValueError, match="does not continue the 2"):
        written.append(longer(tiny(), 1))
    written.close()
    for other in (tiny()._replace(seed=5), longer(tiny(), 1)):
        with pytest.raises(ValueError, match="checkpoints of another stream"):
            load_journal(path, other)
        with pytest.raises(ValueError, match="checkpoints of another stream"):
            StreamJournal(path, other)
    path.write_bytes(b"else")
    with pytest.raises(ValueError, match="holds no checkpoints"):
        load_journal(path, tiny())


def test_a_prompt_is_written_once(path):
    written = StreamJournal(path, tiny())
    state, sizes = tiny(), []
    for context in (torch.ones(1, 9, 99), torch.ones(1, 9, 99), torch.ones(1, 9, 99)):
        before = path.stat().st_size
        state = longer(state, 1, context)
        written.append(state)
        sizes.append(path.stat().st_size - before)
    written.close()
    assert sizes[1] == sizes[2] < sizes[0] - 9 * 99 * 4
    contexts = [block.context for block in load_journal(path, tiny()).history]
    assert contexts[0] is contexts[1] is contexts[2]


def test_a_full_disk_loses_nothing(path, monkeypatch):
    begun = tiny()
    written = StreamJournal(path, begun)
    written.append(longer(begun, 1))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"stream\.journal .*No space left"):
            written.append(longer(begun, 2))
    written.append(longer(begun, 3))
    written.close()
    assert same(load_journal(path, begun), longer(begun, 3))
