"""One shard of training data: a safetensors file that names its samples and can be checked."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .safetensors_file import Entry, parse_json, raw_bytes, read_header, read_tensor, write

FORMAT = "causvid-stream training data"
VERSION = 1
KINDS = ("clips", "ode-pairs", "texts")
SUFFIX = ".safetensors"


class ShardError(ValueError):
    """A shard that cannot be trusted: `path` names it, the message says what is wrong."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the shard {path} is damaged: {reason}; delete it and make its samples again, or "
            "train without it"
        )
        self.path = path


class Sample(NamedTuple):
    """A sample as it was added: tensors without a batch axis, by name."""

    key: str
    prompt: str
    tensors: dict[str, Tensor]
    source: str = ""


class Row(NamedTuple):
    """A sample of a shard, as its header names it."""

    key: str
    prompt: str
    source: str
    checksums: dict[str, int]


class Shard(NamedTuple):
    """A shard's header."""

    path: Path
    settings: dict[str, Any]
    rows: tuple[Row, ...]
    entries: dict[str, Entry]

    def entry(self, number: int, name: str) -> Entry:
        """Where a sample's tensor is."""
        return self.entries[_name(number, name)]

    def read(self, number: int) -> Sample:
        """A checked sample. ShardError when it is not what was written."""
        row, tensors = self.rows[number], {}
        try:
            with self.path.open("rb") as file:
                for name in row.checksums:
                    tensors[name] = read_tensor(file, self.entry(number, name))
        except (OSError, ValueError) as error:
            raise ShardError(self.path, str(error)) from error
        for name, tensor in tensors.items():
            if _checksum(tensor) != row.checksums[name]:
                raise ShardError(self.path, f"the {name} of its sample {number} have changed")
            if not finite(tensor):
                raise ShardError(self.path, f"the {name} of its sample {number} are not finite")
        return Sample(row.key, row.prompt, tensors, row.source)


def write_shard(
    path: Path, kind: str, settings: Mapping[str, Any], samples: Sequence[Sample]
) -> None:
    """Write a shard; it replaces `path` when it is whole."""
    rows = [
        Row(
            sample.key,
            sample.prompt,
            sample.source,
            {name: _checksum(tensor) for name, tensor in sample.tensors.items()},
        )
        for sample in samples
    ]
    content = {"kind": kind, "settings": settings, "samples": [row._asdict() for row in rows]}
    text = json.dumps(content)
    notes = {"format": FORMAT, "version": str(VERSION), "content": text}
    tensors = {
        _name(number, name): tensor
        for number, sample in enumerate(samples)
        for name, tensor in sample.tensors.items()
    }
    write(path, tensors, notes | {"checksum": _text_checksum(text)})


def read_shard(path: Path, kind: str) -> Shard:
    """The header of a shard. ShardError when it is damaged, ValueError when of another kind."""
    try:
        with path.open("rb") as file:
            entries, notes = read_header(file)
        if notes.get("format") != FORMAT or notes.get("version") != str(VERSION):
            raise ValueError(f"it is not {FORMAT} of version {VERSION}")
        if _text_checksum(notes["content"]) != notes.get("checksum"):
            raise ValueError("its list of samples has changed")
        content = parse_json(notes["content"])
        rows = tuple(Row(**row) for row in content["samples"])
        named = {_name(number, name) for number, row in enumerate(rows) for name in row.checksums}
        if named != set(entries):
            raise ValueError(f"it lacks or adds {min(named ^ set(entries))}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShardError(path, str(error)) from error
    if content["kind"] != kind:
        raise ValueError(f"{path} holds {content['kind']}, not {kind}; name another folder")
    return Shard(path, content["settings"], rows, entries)


def finite(tensor: Tensor) -> bool:
    """Whether it holds neither infinities nor NaN."""
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _name(row: int, name: str) -> str:
    return f"{row}.{name}"


def _checksum(tensor: Tensor) -> int:
    """Of its type, its shape and its bytes."""
    described = f"{tensor.dtype}{tuple(tensor.shape)}".encode()
    return zlib.crc32(raw_bytes(tensor), zlib.crc32(described))


def _text_checksum(text: str) -> str:
    return str(zlib.crc32(text.encode()))
