"""Streams in files: safetensors with a versioned header, never pickle.

The whole header, sizes included, is checked before a tensor is read; every tensor has a checksum.
A file appears under its name when it is whole.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from ..stream.state import StreamState
from .disk import DiskStore
from .lazy import LazyDict, lazily
from .safetensors_file import (
    NAMES,
    Entry,
    HeaderTooLarge,
    parse_json,
    raw_bytes,
    read_header,
    write,
)
from .stream_checks import PLAIN, TABLES, check_header, dtype_name
from .stream_reading import Reading, unpack
from .stream_tables import pack_blocks, read_tables

FORMAT = "causvid-stream"
VERSION = 4
"""Version 2 added the switch before each block, and keys and values in 8 bits; version 3 the name
of the decoder and how far it got; version 4 has tables and chunks where they had a list of blocks.
"""
SUFFIX = ".safetensors"

_OWN_NOTES = ("format", "version", "stream", "checksum")
_SNIFFED_BYTES = 64 * 1024


def save_stream(
    state: StreamState, path: str | os.PathLike[str], notes: Mapping[str, str] | None = None
) -> None:
    """Write a state to a file, with its keys and values when it has a snapshot.

    `snapshot(state)` takes one, `state.light()` drops all that can be recomputed. notes: further
    texts for the file's metadata, such as the workflow that made it. An existing file is replaced
    in one move. Raises OSError when the file cannot be written; ValueError, before anything is
    written, for a stream that `load_stream` would refuse.
    """
    notes = {name: text for name, text in (notes or {}).items() if name not in _OWN_NOTES}
    try:
        tensors, header = _pack(state)
        _judge(header, tensors)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"this stream cannot be saved: {error}") from error
    header["checksums"] = {name: _checksum(each.load()) for name, each in tensors.items()}
    header["notes"] = {name: _text_checksum(text) for name, text in notes.items()}
    text = json.dumps(header)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "stream": text,
        "checksum": str(_text_checksum(text)),
    }
    try:
        write(path, tensors, metadata | notes)
    except HeaderTooLarge as error:
        raise ValueError(
            f"this stream's notes are too long for its file ({error}); save it with fewer"
        ) from error


def load_stream(path: str | os.PathLike[str], store: DiskStore | None = None) -> StreamState:
    """Read a state that `save_stream` wrote. store: keeps its latents on disk
    instead of in memory.

    Raises FileNotFoundError, or ValueError saying why the file is refused: damaged, cut short,
    of another kind, or written by a newer version. Nothing is half loaded.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no stream file {path}")
    with path.open("rb") as file:
        try:
            entries, metadata = read_header(file)
        except ValueError as error:
            _refuse(path, f"is damaged, cut short or no stream file at all: {error}")
        header, version = _read_stream_header(path, metadata, entries)
        try:
            return unpack(header, version, Reading(file, entries, header["checksums"]), store)
        except ValueError as error:
            _refuse(path, str(error))


def is_stream_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file starts like one that `save_stream` wrote; reads a few kilobytes at most."""
    path = Path(path)
    try:
        if path.suffix != SUFFIX or not path.is_file():  # opening a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return f'"{FORMAT}"'.encode() in file.read(_SNIFFED_BYTES)
    except OSError:
        return False


def _pack(state: StreamState) -> tuple[LazyDict, dict[str, Any]]:
    """Named tensors and the JSON header of a state; contexts that blocks share appear once."""
    found, contexts = pack_blocks(state)
    snapshot = None
    if state.snapshot is not None:
        for kind in ("keys", "values", "scales"):
            for number, tensor in enumerate(getattr(state.snapshot, kind)):
                found[f"{kind}.{number}"] = tensor
        snapshot = {
            "blocks": state.snapshot.blocks,
            "layers": len(state.snapshot.keys),
            "scales": len(state.snapshot.scales),
            "signature": state.snapshot.signature,
        }
    decoder = None
    if state.decoder is not None:
        for index, tensor in enumerate(state.decoder.past):
            found[f"decoder.{index}"] = tensor
        decoder = {
            "name": state.decoder.name,
            "blocks": state.decoder.blocks,
            "tensors": len(state.decoder.past),
        }
    tensors = lazily(found)
    shapes = {
        name: [dtype_name(tensor.dtype), list(tensor.shape)] for name, tensor in tensors.items()
    }
    header = {
        "recipe": state.recipe.to_dict(),
        **{name: getattr(state, name) for name in PLAIN},
        "switch": state.switch,
        "blocks": state.blocks,
        "contexts": contexts,
        "snapshot": snapshot,
        "decoder": decoder,
        "tensors": shapes,
    }
    return tensors, header


def _judge(header: Mapping[str, Any], tensors: LazyDict) -> None:
    """Raise what reading would raise for a file with this header and these tensors."""
    entries = {name: Entry(each.dtype, each.shape, 0, 0) for name, each in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.dtype not in NAMES:
            raise ValueError(f"{name} is of {tensor.dtype}")
    read = parse_json(json.dumps({**header, "checksums": dict.fromkeys(tensors, 0)}))
    check_header(read, entries, VERSION)
    read_tables(read, {name: tensors[name].load() for name in ("ids", *TABLES) if name in tensors})


def _read_stream_header(
    path: Path, metadata: Mapping[str, str], entries: Mapping[str, Entry]
) -> tuple[dict[str, Any], int]:
    """The stream's own header, checked against the tensors that the file holds, and its version."""
    if metadata.get("format") != FORMAT:
        _refuse(path, "is a safetensors file of another kind, such as model weights")
    version = metadata.get("version", "")
    if not version.isdecimal() or len(version) > 9:
        _refuse(path, f"is damaged: its version reads {version[:20]!r}")
    if int(version) > VERSION:
        _refuse(
            path,
            f"has format version {version}, newer than the {VERSION} that this version of "
            "CausVid Stream reads; update it",
        )
    text = metadata.get("stream", "")
    if str(_text_checksum(text)) != metadata.get("checksum"):
        _refuse(path, "is damaged: its header has changed since it was written")
    try:
        header: dict[str, Any] = parse_json(text)
        for name, checksum in header.get("notes", {}).items():
            if _text_checksum(metadata[name]) != checksum:
                raise ValueError(f"its note {name!r} has changed since it was written")
        check_header(header, entries, int(version))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        _refuse(path, f"is damaged: its header does not describe a stream ({error})")
    return header, int(version)


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(raw_bytes(tensor.cpu().contiguous()))


def _text_checksum(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _refuse(path: Path, reason: str) -> NoReturn:
    raise ValueError(f"{path.name} {reason}")
