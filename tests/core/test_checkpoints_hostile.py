"""Model files made to harm: each is refused in a sentence, in little time and memory."""

import json
import os
import resource
import zipfile
from pathlib import Path

import pytest
import torch

import causvid_core as cv
from causvid_core.model.checkpoints.read import read_stored
from causvid_core.storage import is_stream_file

from .checkpoint_layouts import wan

MOST_BYTES = 100 * 2**20


def header(path: Path, text: str, data: bytes = b"") -> Path:
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + data)
    return path


def empty(name: str) -> str:
    return json.dumps(name) + ': {"dtype":"F32","shape":[0],"data_offsets":[0,0]}'


def many(path: Path) -> Path:
    return header(path, "{" + ",".join(empty(f"a{n}") for n in range(200_000)) + "}")


def long_name(path: Path) -> Path:
    return header(path, "{" + empty("a" * 2_000_000) + "}")


def large_header(path: Path) -> Path:
    return header(path, '{"__metadata__": {"a": "' + "b" * 95_000_000 + '"}}')


def stretched(path: Path) -> Path:
    """A tensor of 4 TB that is one number in the file."""
    torch.save({"a": torch.zeros(1).expand(10**6, 10**6)}, path)
    return path


def many_parts(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"")
        for number in range(3):
            archive.writestr(f"x/{number}.pkl", b"0" * 6 * 2**20)
    return path


def broken_archive(path: Path) -> Path:
    torch.save({"a": torch.zeros(9)}, path)
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02")
    path.write_bytes(content[: at + 28] + b"\xff\xff" + content[at + 30 :])
    return path


HOSTILE = {
    many: "more values than any such file needs",
    long_name: "a tensor with 2,000,000 characters",
    large_header: "claims 95,0|neither safetensors nor a PyTorch file",
    stretched: "has a tensor a of 4,000,000,000,000 bytes",
    many_parts: "18,874,368 bytes of pickles",
    broken_archive: "damaged",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_files_made_to_harm_are_refused_in_little_memory(make, tmp_path):
    path = make(tmp_path / "a.safetensors")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with pytest.raises(ValueError, match=HOSTILE[make]) as refused:
        read_stored(path)
    assert "a.safetensors" in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MOST_BYTES


def test_two_hundred_thousand_blocks_are_too_many(tmp_path):
    state = wan()
    block = {name: t for name, t in state.items() if name.startswith("blocks.0.")}
    for number in range(2000):
        state |= {n.replace("blocks.0.", f"blocks.{number}.", 1): t for n, t in block.items()}
    with pytest.raises(ValueError, match="num_layers is 2,000; no Wan model has more than 1000"):
        cv.load_model(state)


@pytest.mark.parametrize("shard", ["../a.safetensors", "/etc/passwd", "x/../../a", "..\\\\a"])
def test_an_index_names_files_beside_it_alone(tmp_path, shard):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(ValueError, match="which is not a file beside it"):
        read_stored(tmp_path)


def test_a_config_of_any_size_is_not_read(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_bytes(b" " * (17 * 2**20))
    with pytest.raises(ValueError, match="more than any such file needs"):
        read_stored(tmp_path)


@pytest.mark.parametrize("heads", ["abc", "-2", "1e3", "9" * 50, "²"])
def test_notes_about_heads_are_numbers(heads):
    with pytest.raises(ValueError, match="attention heads; expected a whole number"):
        cv.model.checkpoints.infer_config(wan(), {"num_heads": heads})


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
def test_a_pipe_is_no_stream_file(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    assert not is_stream_file(tmp_path / "a.safetensors")
