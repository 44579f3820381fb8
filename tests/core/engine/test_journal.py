"""Checkpoints appended to one file: flat in the stream's length, exact after a kill."""

import json
import os
import random
import sys
from io import BytesIO

import pytest
import torch

import causvid_core as cv
from causvid_core.storage import DiskStore, StreamJournal, journal, load_journal, records
from causvid_core.storage.safetensors_file import read_header, read_tensor
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


def test_an_interrupt_anywhere_loses_and_repeats_nothing(path):
    """Raised at every third line that an append runs, as Ctrl-C is."""
    begun = tiny()
    first = longer(begun, 2)
    second = longer(first, 1, torch.zeros(1, 2, 3))
    last = longer(second, 1, second.history[-1].context)
    lines, place, ended = 0, 0, False

    def interrupt(frame, event, argument):
        nonlocal lines
        lines += 1
        if lines == place:
            raise KeyboardInterrupt
        return interrupt

    while not ended:
        path.unlink(missing_ok=True)
        written = StreamJournal(path, begun)
        written.append(first)
        lines, place = 0, place + 3
        try:
            sys.settrace(interrupt)
            written.append(second)
            ended = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        written.append(last)
        written.close()
        assert same(load_journal(path, begun), last), place
    assert place > 150


@pytest.mark.parametrize("end", [DAY // 24, pytest.param(DAY, marks=pytest.mark.slow)])
def test_24_hours_of_single_frames(tmp_path, path, monkeypatch, end):
    """The last checkpoint costs what the first does, and memory does not hold the latents."""
    begun, stream = tiny(), longer(tiny(), 1)
    block = stream.history[0]
    history = tuple(block._replace(id=f"{n:05x}") for n in range(end))
    written = StreamJournal(path, begun)
    costs = []
    for blocks in (100, 116, end - 16, end):
        state = begun._replace(history=history[:blocks])
        before, calls = path.stat().st_size, 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count if blocks in (116, end) else None)
        written.append(state)
        sys.setprofile(None)
        costs.append((path.stat().st_size - before, calls))
    written.close()
    (first_bytes, first_calls), (last_bytes, last_calls) = costs[1], costs[3]
    assert abs(last_bytes - first_bytes) < 100 and abs(last_calls - first_calls) < 20
    assert 0 < last_bytes < 16 * 250
    again = StreamJournal(path, begun)
    assert again.blocks == end
    again.close()
    read = []
    monkeypatch.setattr(records, "BytesIO", lambda data: read.append(len(data)) or BytesIO(data))
    loaded = load_journal(path, begun, DiskStore(tmp_path, 2**20))
    assert loaded.history[-1].id == history[-1].id and loaded.blocks == end
    assert max(read) < 2**18
    in_memory = sum(each.latents.untyped_storage().nbytes() < 2**20 for each in loaded.history)
    assert in_memory * block.latents.nbytes < 2**20 + 2**18


def test_a_journal_takes_records_of_bounded_size(path, monkeypatch):
    monkeypatch.setattr(journal, "RECORD_BYTES", 200)
    written = StreamJournal(path, tiny())
    state = longer(longer(tiny(), 9), 3, torch.zeros(1, 2, 3))
    written.append(state)
    written.close()
    assert path.read_bytes().count(b"CVjournl") > 5
    assert same(load_journal(path, tiny()), state)


def test_keys_and_values_that_do_not_fit_are_left_out(wan, windowed, context, path):
    model = wan()
    begun = cv.start(windowed, model, **SIZE, seed=4)
    states = [block.state for block in cv.rollout(model, begun, context, 4)]
    kept = snapshot_within(states[-1], 10**9)
    written = StreamJournal(path, begun)
    written.append(kept)
    [cache] = [other for other in path.parent.iterdir() if other != path]
    whole = cache.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        cache.write_bytes(damaged)
        assert same(load_journal(path, begun), kept.light())
    cache.write_bytes(whole)
    assert same(load_journal(path, begun), kept)
    [ahead] = cv.rollout(model, kept, kept.history[0].context, 1)
    written.append(ahead.state.light())
    written.close()
    assert list(path.parent.iterdir()) == [path]
    loaded = load_journal(path, begun)
    assert loaded.block_ids == ahead.state.block_ids and loaded.snapshot is None
    assert torch.equal(loaded.latents, ahead.state.latents)
    assert len({id(block.context) for block in loaded.history}) == 1


def test_a_record_that_describes_no_blocks_is_refused(path):
    """Whole records with checksums of their own."""
    begun, state = tiny(), longer(tiny(), 2)
    written = StreamJournal(path, begun)
    written.append(state)
    written.close()
    whole = path.read_bytes()
    with path.open("rb") as file:
        names, blocks = records.places(file)
        entries, metadata = read_header(records.contents(file, blocks))
        tensors = {
            name: read_tensor(records.contents(file, blocks), entry)
            for name, entry in entries.items()
        }
    values = json.loads(metadata["values"])
    wrong = [
        ("ids", ["a", "a"]), ("ids", ["a"]), ("ids", [1, 2]), ("ids", 7), ("switches", None),
        ("switches", ["carry", "x"]), ("contexts", [0, 5]), ("contexts", [[], 0]), ("new", 3),
        ("new", {"7": "x"}), ("switch", "x"), ("switch", []), ("decoder", [1, 2]),
        ("decoder", ["d", 99]), ("decoder", 5), ("decoder", ["d"]),
    ]  # fmt: skip
    for change in ({name: value} for name, value in wrong):
        changed = {**metadata, "values": json.dumps(values | change)}
        record = b"".join(records.packed(tensors, changed))
        path.write_bytes(whole[: names.end] + record)
        with pytest.raises(ValueError, match=r"^stream\.journal "):
            load_journal(path, begun)
    for name, tensor in (
        ("latents", torch.ones(())),
        ("latents", tensors["latents"].half()),
        ("context.0", torch.ones(1, 2)),
        ("context.0", torch.ones(1, 2, 3).int()),
    ):
        record = b"".join(records.packed(tensors | {name: tensor}, metadata))
        path.write_bytes(whole[: names.end] + record)
        with pytest.raises(ValueError, match=r"^stream\.journal "):
            load_journal(path, begun)
