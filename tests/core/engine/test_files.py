"""Streams in files: what is written comes back to the bit, and a failed write changes nothing."""

import contextlib
import json
import os
import signal
import time

import pytest
import torch
from safetensors import safe_open

import causvid_core as cv
from causvid_core.storage import DiskStore, atomic, safetensors_file, stream_tables
from causvid_core.storage.stream_files import is_stream_file
from causvid_core.stream import DecoderMemory, StreamBlock, StreamState, snapshot, snapshot_within

from .stream_files import parts, rewrite, same, save_version_3
from .streams import SIZE


@pytest.fixture
def state(wan, windowed, context):
    model = wan()
    blocks = list(cv.rollout(model, cv.start(windowed, model, **SIZE, seed=4), context, 5))
    return blocks[-1].state


@pytest.fixture
def path(tmp_path):
    return tmp_path / "stream.safetensors"


@pytest.mark.parametrize("kind", ["light", "exact"])
def test_a_stream_goes_on_from_its_file(wan, context, state, path, kind):
    model = wan()
    tensors = (torch.ones(1, 3, dtype=torch.bfloat16), torch.zeros(1, 2))
    kept = (snapshot(state) if kind == "exact" else state.light())._replace(
        decoder=DecoderMemory("wan 1", 3, tensors)
    )
    cv.save_stream(kept, path)
    loaded = cv.load_stream(path)
    assert loaded.recipe == kept.recipe and loaded[1:6] == kept[1:6]
    assert loaded.block_ids == kept.block_ids and torch.equal(loaded.latents, kept.latents)
    assert loaded.decoder[:2] == ("wan 1", 3)
    assert all(map(torch.equal, loaded.decoder.past, tensors)) and loaded.decoder.past[0].ndim == 2
    assert (loaded.snapshot is None) == (kind == "light")
    assert loaded.history[0].context is loaded.history[1].context
    ahead, expected = (list(cv.rollout(model, s, context, 2)) for s in (loaded, state))
    assert torch.equal(ahead[-1].state.latents, expected[-1].state.latents)
    assert list(path.parent.iterdir()) == [path]


def test_switches_and_keys_in_8_bits_come_back(state, path):
    history = tuple(
        block._replace(switch=mode)
        for block, mode in zip(state.history, "carry recache flush cut carry".split(), strict=True)
    )
    kept = snapshot_within(state, 10**9, int8=True)._replace(history=history, switch="recache")
    assert kept.snapshot.scales
    cv.save_stream(kept, path)
    loaded = cv.load_stream(path)
    assert same(loaded, kept) and loaded.switch == "recache"
    assert [block.switch for block in loaded.history] == [block.switch for block in history]
    assert loaded.snapshot.nbytes == kept.snapshot.nbytes


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_file_of_an_earlier_version_still_loads(state, path, version):
    save_version_3(snapshot(state), path)

    def as_it_was(metadata, stream):
        metadata["version"], stream["decoder"] = version, 0
        if version == "2":
            return
        for part in (stream, stream["snapshot"], *stream["blocks"]):
            for later in ("switch", "scales", "notes"):
                part.pop(later, None)

    rewrite(path, as_it_was)
    assert same(cv.load_stream(path), snapshot(state))


def test_an_empty_stream_comes_back(wan, windowed, path):
    state = cv.start(windowed, wan(), **SIZE, seed=2**64 - 1)
    cv.save_stream(state, path)
    assert same(cv.load_stream(path), state)


def test_other_programs_can_read_the_file_and_its_notes(state, path):
    notes = {"workflow": '{"name": "é 视频"}', "format": "not this"}
    cv.save_stream(state, path, notes)
    with safe_open(path, "pt") as file:
        assert file.metadata()["workflow"] == notes["workflow"]
        assert file.metadata()["format"] == "causvid-stream"
        latents = file.get_tensor("latents.0")
        assert torch.equal(latents[1], state.history[1].latents) and len(latents) == state.blocks
    rewrite(path, lambda metadata, stream: metadata.update(workflow="{}"))
    with pytest.raises(ValueError, match="its note 'workflow' has changed"):
        cv.load_stream(path)


def test_a_loaded_stream_does_not_depend_on_its_file(state, path):
    cv.save_stream(snapshot(state), path)
    loaded = cv.load_stream(path)
    os.truncate(path, 0)
    assert same(loaded, snapshot(state))


def test_stream_files_are_told_from_others(state, path):
    cv.save_stream(state, path)
    assert is_stream_file(path)
    other = path.with_name("weights.safetensors")
    other.write_bytes(b"x" * 100)
    assert not is_stream_file(other) and not is_stream_file(path.parent)
    assert not is_stream_file(path.with_name("none.safetensors"))


MOMENTS = {
    "writing": (safetensors_file, "raw_bytes"),
    "flushing": (os, "fsync"),
    "moving": (os, "replace"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_failed_write_leaves_the_old_file(state, path, monkeypatch, moment):
    cv.save_stream(state, path)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*MOMENTS[moment], full)
    with pytest.raises(OSError, match="No space left"):
        cv.save_stream(state.light()._replace(seed=99), path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_process_leaves_an_old_or_a_new_file(state, path, moment, when):
    """Killed before or after the first call of each step of writing, in the middle of a file."""
    cv.save_stream(state, path)
    new = state.light()._replace(seed=99)
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        step = getattr(*MOMENTS[moment])

        def halt(*arguments):
            if when == "after":
                step(*arguments)
            os.write(tell, b".")
            signal.pause()

        with contextlib.suppress(BaseException):
            setattr(*MOMENTS[moment], halt)
            cv.save_stream(new, path)
        os._exit(1)
    os.close(tell)
    assert os.read(told, 1) == b".", "the child ended before it was killed"
    os.close(told)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    moved = (moment, when) == ("moving", "after")
    assert same(cv.load_stream(path), new if moved else state)
    assert len(list(path.parent.iterdir())) == (1 if moved else 2)


def test_what_killed_processes_left_is_removed_after_a_day(state, path):
    left = [path.with_name(f".{name}{atomic.PARTIAL}") for name in ("old", "new")]
    for file in left:
        file.write_bytes(b"half")
    yesterday = time.time() - 25 * 3600
    os.utime(left[0], (yesterday, yesterday))
    cv.save_stream(state, path)
    assert [file.exists() for file in left] == [False, True]


def test_notes_too_long_to_be_read_are_not_written(state, path):
    cv.save_stream(state, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="notes are too long"):
        cv.save_stream(state, path, {"workflow": "x" * safetensors_file.LIMITS.header_bytes})
    assert path.read_bytes() == before


@pytest.mark.slow
def test_24_hours_of_single_frames_are_saved_and_opened(tmp_path, path, monkeypatch):
    """Chunk by chunk, so that latents on the disk stay there. Every prompt lasts 5 seconds."""
    blocks, prompt = 24 * 3600 * 16 // 4, 20
    contexts = [torch.full((1, 1, 1), float(n)) for n in range(blocks // prompt)]
    latents = (
        torch.arange(blocks).float()[:, None, None, None, None, None].expand(-1, 1, 16, 1, 1, 1)
    )
    history = tuple(
        StreamBlock(f"{n:024}", own, contexts[n // prompt], "carry")
        for n, own in enumerate(latents)
    )
    recipe = cv.Recipe(frames_per_block=1)
    state = StreamState(recipe, 1, 1, 1, 4, "model", history)
    monkeypatch.setattr(stream_tables, "CHUNK_BYTES", 2**16)
    largest = 0

    def counting(parts, *rest, **options):
        nonlocal largest
        largest = max(largest, len(parts))
        return stack(parts, *rest, **options)

    stack = torch.stack
    monkeypatch.setattr(stream_tables.torch, "stack", counting)
    cv.save_stream(state, path)
    assert largest == 2**16 // (16 * 4)
    header, _ = parts(path)
    assert len(json.dumps(header)) < 2**20
    loaded = cv.load_stream(path, DiskStore(tmp_path, 2**20))
    assert loaded.block_ids == state.block_ids
    assert [block.latents.max().item() for block in loaded.history[::999]] == [
        float(n) for n in range(0, blocks, 999)
    ]
    in_memory = sum(block.latents.untyped_storage().nbytes() == 64 for block in loaded.history)
    assert in_memory * 64 < 2**20
    assert all(
        block.context.item() == number // prompt for number, block in enumerate(loaded.history)
    )
