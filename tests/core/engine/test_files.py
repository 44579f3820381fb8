"""Streams in files: what is written comes back to the bit; anything else is refused."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

import causvid_core as cv
from causvid_core.stream import files

SIZE = {"height": 4, "width": 6}


@pytest.fixture
def model(wan):
    return wan()


@pytest.fixture
def state(model, windowed, context):
    blocks = list(cv.rollout(model, cv.start(windowed, model, **SIZE, seed=4), context, 5))
    return blocks[-1].state


@pytest.mark.parametrize("kind", ["light", "exact"])
def test_a_stream_goes_on_from_its_file(model, context, state, tmp_path, kind):
    path = tmp_path / "stream.safetensors"
    kept = getattr(state, kind)()._replace(decoder=(torch.ones(2, 3, dtype=torch.bfloat16),))
    cv.save_stream(kept, path)
    loaded = cv.load_stream(path)
    assert loaded.recipe == kept.recipe and loaded[1:6] == kept[1:6]
    assert loaded.keys == kept.keys and torch.equal(loaded.latents, kept.latents)
    assert torch.equal(loaded.decoder[0], kept.decoder[0])
    assert (loaded.snapshot is None) == (kind == "light")
    assert loaded.history[0].context is loaded.history[1].context
    ahead, expected = (list(cv.rollout(model, s, context, 2)) for s in (loaded, state))
    assert torch.equal(ahead[-1].state.latents, expected[-1].state.latents)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(state, tmp_path, monkeypatch):
    path = tmp_path / "stream.safetensors"
    cv.save_stream(state, path)
    before = path.read_bytes()

    def full(tensors, name, metadata):
        name.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(OSError, match="disk full"):
        cv.save_stream(state, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def rewrite(path, change):
    """Change the parsed header of a stream file and write it with a valid checksum."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    metadata = header["__metadata__"]
    stream = json.loads(metadata["stream"])
    change(metadata, stream)
    if stream is not None:
        metadata["stream"] = json.dumps(stream)
        metadata["checksum"] = str(files.zlib.crc32(metadata["stream"].encode()))
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])


CHANGES = {
    "newer": (lambda m, s: m.update(version="2"), "newer than the 1"),
    "foreign": (lambda m, s: m.update(format="pt"), "of another kind"),
    "version": (lambda m, s: m.update(version="one"), "version reads 'one'"),
    "batch": (lambda m, s: s.update(batch=2), "contradicts itself"),
    "height": (lambda m, s: s.update(height="4"), "contradicts itself"),
    "recipe": (lambda m, s: s["recipe"].update(window=1), "does not describe a stream"),
    "block": (lambda m, s: s["blocks"].pop(), "contradicts itself"),
    "tensors": (lambda m, s: s["tensors"].pop("latents.0"), "does not describe a stream"),
    "shape": (lambda m, s: s["tensors"]["context.0"][1].append(1), "contradicts itself"),
    "snapshot": (lambda m, s: s.update(snapshot={"blocks": 9, "layers": 0}), "contradicts"),
    "decoder": (lambda m, s: s.update(decoder=3), "contradicts itself"),
    "missing": (lambda m, s: s.pop("seed"), "does not describe a stream"),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_contradictory_header_is_refused(state, tmp_path, name):
    path = tmp_path / "stream.safetensors"
    cv.save_stream(state.light(), path)
    change, message = CHANGES[name]
    rewrite(path, change)
    with pytest.raises(ValueError, match=message) as caught:
        cv.load_stream(path)
    assert str(caught.value).startswith("stream.safetensors ")


def test_damage_anywhere_is_refused(state, tmp_path):
    path = tmp_path / "stream.safetensors"
    cv.save_stream(state.exact(), path)
    whole = path.read_bytes()
    for cut in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="damaged, cut short"):
            cv.load_stream(path)
    (size,) = struct.unpack("<Q", whole[:8])
    for place in (*range(8, 8 + size, max(1, size // 60)), 8 + size, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError):
            cv.load_stream(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="of another kind, such as model weights"):
        cv.load_stream(path)
    path.write_bytes(b"PK\x03\x04 a zip file")
    with pytest.raises(ValueError, match="no stream file at all"):
        cv.load_stream(path)
    with pytest.raises(FileNotFoundError, match="there is no stream file"):
        cv.load_stream(tmp_path / "nothing")
