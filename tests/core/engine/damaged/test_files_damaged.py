"""Stream files that are damaged, foreign or hostile: an error each, in bounded memory."""

import json
import pickle
import random
import zipfile

import pytest
import torch
from safetensors.torch import save_file

import causvid_core as cv

from ..stream_files import parts, put, same


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
