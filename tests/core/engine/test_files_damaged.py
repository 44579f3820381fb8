"""Stream files that are damaged, foreign or hostile: an error each, in bounded memory."""

import json
import pickle
import random
import tracemalloc
import zipfile
import zlib

import pytest
import torch
from safetensors.torch import save_file

import causvid_core as cv
from causvid_core.storage import safetensors_file
from causvid_core.stream import DecoderMemory, snapshot

from .stream_files import parts, put, rewrite, same
from .streams import SIZE


@pytest.fixture(scope="module")
def state():
    from .conftest import make_model

    model, context = make_model(), torch.ones(1, 5, 12)
    recipe = cv.Recipe(timesteps=(1000,), window=9, sink=3)
    state = list(cv.rollout(model, cv.start(recipe, model, **SIZE), context, 4))[-1].state
    return snapshot(state)._replace(decoder=DecoderMemory("wan", 2, (torch.ones(1, 3),)))


@pytest.fixture
def path(state, tmp_path):
    path = tmp_path / "stream.safetensors"
    cv.save_stream(state, path, {"workflow": '{"nodes": []}'})
    return path


@pytest.fixture
def refusal(path, monkeypatch):
    """Loads the file, which must be refused; returns the sentence. Watches memory."""

    def load():
        taken = []
        empty = torch.empty

        def counting(*shape, **options):
            made = empty(*shape, **options)
            taken.append(made.nbytes)
            return made

        size = path.stat().st_size
        held = min(size, safetensors_file.LIMITS.header_bytes)
        monkeypatch.setattr(safetensors_file.torch, "empty", counting)
        tracemalloc.start()
        try:
            with pytest.raises(ValueError) as caught:
                cv.load_stream(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            monkeypatch.undo()
        assert peak < 12 * held + 2e6 and sum(taken) <= size
        assert str(caught.value).startswith("stream.safetensors ")
        return str(caught.value)

    return load


def check_damaged(path, content, state):
    """Refused, or what was written: some bytes, such as an escape's, may be written in two ways."""
    path.write_bytes(content)
    try:
        loaded = cv.load_stream(path)
    except ValueError as error:
        assert str(error).startswith("stream.safetensors ")
    else:
        assert same(loaded, state)


def test_a_file_cut_anywhere_is_refused(path, refusal):
    whole = path.read_bytes()
    header, data = parts(path)
    start = len(whole) - len(data)
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    edges = {0, 8, start, *(start + end for end in ends)}
    cuts = {edge + step for edge in edges for step in (-1, 0, 1)}
    cuts |= {random.Random(1).randrange(len(whole)) for _ in range(60)}
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(whole)):
        path.write_bytes(whole[:cut])
        assert "damaged, cut short or no stream file" in refusal()
    path.write_bytes(whole + b"\0")
    assert "damaged, cut short or no stream file" in refusal()


def test_a_bit_flipped_anywhere_is_refused(path, state):
    whole = path.read_bytes()
    start = len(whole) - len(parts(path)[1])
    draw = random.Random(2)
    places = [draw.randrange(8, start) for _ in range(200)]
    places += [draw.randrange(start, len(whole)) for _ in range(40)]
    places += range(8)
    for place in places:
        flipped = bytes([whole[place] ^ 1 << draw.randrange(8)])
        check_damaged(path, whole[:place] + flipped + whole[place + 1 :], state)


def test_bytes_lost_or_repeated_are_refused(path, state):
    whole = path.read_bytes()
    draw = random.Random(3)
    for _ in range(50):
        first, last = sorted(draw.randrange(len(whole)) for _ in range(2))
        last = min(last, first + draw.choice((1, 8, 500)))
        check_damaged(path, whole[:first] + whole[last:], state)
        check_damaged(path, whole[:last] + whole[first:], state)


ENTRY = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
HEADERS = {
    "nothing": b"",
    "a list": b"[]",
    "a number": b"12",
    "deep lists": b"[" * 200_000,
    "deep tables": b'{"a":' * 100_000,
    "deep and closed": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a million lists": b'{"a":[' + b"[],[]," * 600_000 + b"1]}",
    "a number of a million digits": b'{"a":' + b"9" * 1_000_000 + b"}",
    "no number": b'{"a":NaN}',
    "not UTF-8": b'{"\xff":1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a tensor twice": f'{{"a":{ENTRY},"a":{ENTRY}}}'.encode(),
    "notes twice": b'{"__metadata__":{},"__metadata__":{}}',
    "notes of numbers": b'{"__metadata__":{"format":1}}',
    "notes as a list": b'{"__metadata__":["format"]}',
    "overlapping": f'{{"a":{ENTRY},"b":{ENTRY}}}'.encode(),
    "a tensor as a number": b'{"a":1}',
}


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_absurd_headers(path, refusal, name):
    put(path, HEADERS[name], b"\0" * 4)
    assert "damaged, cut short or no stream file" in refusal()


ENTRIES = {
    "huge": {"shape": [10**12], "data_offsets": [0, 4 * 10**12]},
    "overflowing": {"shape": [2**32, 2**32, 4], "data_offsets": [0, 0]},
    "larger than 64 bits": {"shape": [10**40]},
    "negative": {"shape": [-1], "data_offsets": [0, -4]},
    "negative twice": {"shape": [-1, -1]},
    "backwards": {"data_offsets": [4, 0]},
    "beside": {"data_offsets": [4, 8]},
    "fractions": {"shape": [1.0]},
    "truth": {"shape": [True]},
    "text": {"shape": "1"},
    "many axes": {"shape": [1] * 9},
    "other dtype": {"dtype": "C64"},
    "no dtype": {"dtype": ["F32"]},
    "wider": {"dtype": "F64"},
    "missing": {"data_offsets": None},
}


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_absurd_tensors(path, refusal, name):
    entry = json.loads(ENTRY) | ENTRIES[name]
    put(path, {"__metadata__": {"format": "causvid-stream"}, "a": entry}, b"\0" * 4)
    assert "damaged, cut short or no stream file" in refusal()


@pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 10**8, 2**63, 2**64 - 1])
def test_absurd_header_lengths(path, refusal, length):
    put(path, b"{}", length=length)
    with path.open("r+b") as file:
        file.truncate(min(length + 8, 3 * 10**8))  # a sparse file, as long as it claims
    assert "damaged, cut short or no stream file" in refusal()


def of_recipe(**values):
    return lambda metadata, stream: stream["recipe"].update(values)


def of_block(**values):
    return lambda metadata, stream: stream["blocks"][1].update(values)


def of_decoder(**values):
    return lambda metadata, stream: stream["decoder"].update(values)


def of_snapshot(**values):
    return lambda metadata, stream: stream["snapshot"].update(values)


CHANGES = {
    "newer": (lambda m, s: m.update(version="4"), "newer than the 3"),
    "version": (lambda m, s: m.update(version="one"), "version reads 'one'"),
    "long version": (lambda m, s: m.update(version="9" * 9999), "version reads '999"),
    "foreign": (lambda m, s: m.update(format="pt"), "of another kind"),
    "list": (lambda m, s: [1], "does not describe a stream"),
    "batch": (lambda m, s: s.update(batch=2), "expected"),
    "no batch": (lambda m, s: s.update(batch=0), "its batch is 0"),
    "huge batch": (lambda m, s: s.update(batch=10**18), "its batch is 1000"),
    "true height": (lambda m, s: s.update(height=True), "its height is True"),
    "text height": (lambda m, s: s.update(height="4"), "its height is '4'"),
    "seed": (lambda m, s: s.update(seed=-(2**64)), "its seed"),
    "text seed": (lambda m, s: s.update(seed="4"), "its seed"),
    "model": (lambda m, s: s.update(model="x" * 9999), "its model is not a short text"),
    "switch": (lambda m, s: s.update(switch="jump"), "the switch is 'jump'"),
    "decoder": (lambda m, s: s.update(decoder=10**18), "its decoder is"),
    "less decoder": (lambda m, s: s.update(decoder=0), "'decoder.0', which nothing uses"),
    "no decoder": (lambda m, s: s.update(decoder=None), "'decoder.0', which nothing uses"),
    "decoder list": (lambda m, s: s.update(decoder=[1]), "its decoder is"),
    "decoder name": (of_decoder(name=7), "its decoder's name is not a short text"),
    "decoder blocks": (of_decoder(blocks=9), "its blocks that are decoded is 9"),
    "decoder tensors": (of_decoder(tensors=10**18), "its decoder is"),
    "decoder parts": (of_decoder(tensors=2), "does not describe a stream"),
    "missing": (lambda m, s: s.pop("seed") and None, "does not describe a stream"),
    "note": (lambda m, s: s["notes"].update(more=1), "does not describe a stream"),
    "checksums": (lambda m, s: s["checksums"].pop("keys.0") and None, "one checksum for every"),
    "tensors": (lambda m, s: s["tensors"].pop("keys.0") and None, "does not fit the tensor"),
    "shape": (lambda m, s: s["tensors"]["context.0"][1].append(1), "does not fit the tensor"),
    "no blocks": (lambda m, s: s.update(blocks=[]), "expected 1 to 0"),
    "block": (lambda m, s: s["blocks"].pop() and None, "does not describe a stream"),
    "block list": (lambda m, s: s.update(blocks=7), "does not describe a stream"),
    "block key": (of_block(key=7), "its block key is not a short text"),
    "block context": (of_block(context="latents.0"), "which is not a prompt"),
    "no context": (of_block(context="context.9"), "does not describe a stream"),
    "context list": (of_block(context=[]), "does not describe a stream"),
    "block switch": (of_block(switch=["cut"]), "the switch is"),
    "repeated": (lambda m, s: s["blocks"].__setitem__(1, s["blocks"][0]), "a block twice"),
    "layers": (of_snapshot(layers=10**15), "its layers is"),
    "fewer layers": (of_snapshot(layers=1), "which nothing uses"),
    "snapshot blocks": (of_snapshot(blocks=9), "keys and values is 9"),
    "signature": (of_snapshot(signature=None), "its signature"),
    "scales": (of_snapshot(scales=4), "float32 keys and values have 4 scales"),
    "many scales": (of_snapshot(scales=10**15), "scales"),
    "snapshot list": (lambda m, s: s.update(snapshot=[]), "does not describe a stream"),
    "unknown recipe": (of_recipe(gone=1), "'gone', which this version does not know"),
    "small window": (of_recipe(window=1), "a window of 1"),
    "huge window": (of_recipe(window=10**19), "window of 1e"),
    "window": (of_recipe(window=9.0), "window of 9.0"),
    "true window": (of_recipe(window=True), "window of True"),
    "frames": (of_recipe(frames_per_block=10**9, window=None), "expected"),
    "timesteps": (of_recipe(timesteps=[1000 - n / 9 for n in range(2000)]), "2000 timesteps"),
    "text timesteps": (of_recipe(timesteps="987"), "values of other kinds"),
    "shift": (of_recipe(shift="8"), "does not describe a stream"),
    "positions": (of_recipe(positions=[]), "positions is"),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_header_with_valid_checksums_that_describes_no_stream(path, refusal, name):
    change, message = CHANGES[name]
    rewrite(path, change)
    assert message in refusal()


def test_an_infinite_number_is_refused(path, refusal):
    header, data = parts(path)
    stream = header["__metadata__"]["stream"].replace('"shift": 8.0', '"shift": 1e999')
    header["__metadata__"] |= {"stream": stream, "checksum": str(zlib.crc32(stream.encode()))}
    put(path, header, data)
    assert "shift of inf" in refusal()


def test_foreign_tensors(path, refusal):
    header, data = parts(path)
    last = max(e["data_offsets"][1] for n, e in header.items() if n != "__metadata__")
    more = {"dtype": "U8", "shape": [4], "data_offsets": [last, last + 4]}
    put(path, header | {"extra": more}, data + b"\0" * 4)
    assert "does not fit the tensor 'extra'" in refusal()
    put(path, header | {"latents.0": header["latents.0"] | {"dtype": "I32"}}, data)
    assert "does not fit the tensor 'latents.0'" in refusal()
    swapped = {"latents.0": header["latents.1"], "latents.1": header["latents.0"]}
    put(path, header | swapped, data)
    assert "the contents of latents.0 have changed" in refusal()


def test_other_files(path, refusal, state):
    save_file({"a": torch.ones(2)}, path)
    assert "of another kind, such as model weights" in refusal()
    save_file({"a": torch.ones(2)}, path, {"format": "causvid-stream"})
    assert "version reads ''" in refusal()
    torch.save({"a": torch.ones(2)}, path)
    assert "no stream file at all" in refusal()
    path.write_bytes(pickle.dumps(dict.fromkeys(range(1000))))
    assert "no stream file at all" in refusal()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("latents", b"x" * 5000)
    assert "no stream file at all" in refusal()
    with pytest.raises(FileNotFoundError, match="there is no stream file"):
        cv.load_stream(path.parent)
