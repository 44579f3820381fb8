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

from ..stream.cache import KVSnapshot, LiveCache
from ..stream.recipe import Recipe
from ..stream.segment import CARRY
from ..stream.state import DecoderMemory, StreamBlock, StreamState
from .disk import DiskStore
from .safetensors_file import (
    Entry,
    HeaderTooLarge,
    parse_json,
    raw_bytes,
    read_header,
    read_tensor,
    write,
)
from .stream_checks import check_header

FORMAT = "causvid-stream"
VERSION = 3
"""Version 2 added the switch before each block, and keys and values in 8 bits; version 3 the name
of the decoder and how far it got.
"""
SUFFIX = ".safetensors"

_OWN_NOTES = ("format", "version", "stream", "checksum")
_PLAIN = ("height", "width", "batch", "seed", "model")
"""Fields of a state that a header holds as they are."""
_SNIFFED_BYTES = 64 * 1024


def save_stream(
    state: StreamState, path: str | os.PathLike[str], notes: Mapping[str, str] | None = None
) -> None:
    """Write a state to a file, with its keys and values when it has a snapshot.

    `snapshot(state)` takes one, `state.light()` drops all that can be recomputed. notes: further
    texts for the file's metadata, such as the workflow that made it. An existing file is replaced
    in one move. Raises OSError when the file cannot be written, ValueError when it could not be
    read again.
    """
    notes = {name: text for name, text in (notes or {}).items() if name not in _OWN_NOTES}
    tensors, header = _pack(state)
    header["checksums"] = {name: _checksum(tensor) for name, tensor in tensors.items()}
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
        raise ValueError(f"this stream has too many blocks for one file: {error}") from error


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
        header = _read_stream_header(path, metadata, entries)
        tensors: dict[str, Tensor] = {}
        in_memory: list[str] = []
        for name, entry in entries.items():
            try:
                tensors[name] = read_tensor(file, entry)
            except ValueError as error:
                _refuse(path, f"is cut short: {error}")
            if _checksum(tensors[name]) != header["checksums"][name]:
                _refuse(path, f"is damaged: the contents of {name} have changed since it was made")
            if store is not None and name.startswith("latents."):
                in_memory.append(name)
                if store.is_worth_it([tensors[kept] for kept in in_memory]):
                    moved = store.move([tensors[kept] for kept in in_memory])
                    tensors |= dict(zip(in_memory, moved, strict=True))
                    in_memory.clear()
    return _unpack(header, tensors)


def is_stream_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file starts like one that `save_stream` wrote; reads a few kilobytes at most."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return path.suffix == SUFFIX and f'"{FORMAT}"'.encode() in file.read(_SNIFFED_BYTES)
    except OSError:
        return False


def _pack(state: StreamState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Named tensors and the JSON header of a state; contexts that blocks share appear once."""
    tensors: dict[str, Tensor] = {}
    contexts: dict[int, str] = {}
    blocks = []
    for index, block in enumerate(state.history):
        name = contexts.setdefault(id(block.context), f"context.{len(contexts)}")
        tensors[name] = block.context.contiguous()
        tensors[f"latents.{index}"] = block.latents.contiguous()
        blocks.append({"key": block.id, "context": name, "switch": block.switch})
    snapshot = None
    if state.snapshot is not None:
        for kind in ("keys", "values", "scales"):
            for number, tensor in enumerate(getattr(state.snapshot, kind)):
                tensors[f"{kind}.{number}"] = tensor.contiguous()
        snapshot = {
            "blocks": state.snapshot.blocks,
            "layers": len(state.snapshot.keys),
            "scales": len(state.snapshot.scales),
            "signature": state.snapshot.signature,
        }
    decoder = None
    if state.decoder is not None:
        for index, tensor in enumerate(state.decoder.past):
            tensors[f"decoder.{index}"] = tensor.contiguous()
        decoder = {
            "name": state.decoder.name,
            "blocks": state.decoder.blocks,
            "tensors": len(state.decoder.past),
        }
    shapes = {
        name: [str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        for name, tensor in tensors.items()
    }
    header = {
        "recipe": state.recipe.to_dict(),
        **{name: getattr(state, name) for name in _PLAIN},
        "switch": state.switch,
        "blocks": blocks,
        "snapshot": snapshot,
        "decoder": decoder,
        "tensors": shapes,
    }
    return tensors, header


def _unpack(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> StreamState:
    snapshot = header["snapshot"]
    if snapshot is not None:
        layers = range(snapshot["layers"])
        snapshot = KVSnapshot(
            tuple(tensors[f"keys.{layer}"] for layer in layers),
            tuple(tensors[f"values.{layer}"] for layer in layers),
            snapshot["blocks"],
            snapshot["signature"],
            tuple(tensors[f"scales.{number}"] for number in range(snapshot.get("scales", 0))),
        )
    return StreamState(
        recipe=Recipe.from_dict(header["recipe"]),
        **{name: header[name] for name in _PLAIN},
        history=tuple(
            StreamBlock(
                block["key"],
                tensors[f"latents.{index}"],
                tensors[block["context"]],
                block.get("switch", CARRY),
            )
            for index, block in enumerate(header["blocks"])
        ),
        snapshot=snapshot,
        decoder=_decoder(header["decoder"], tensors),
        live=LiveCache(),
        switch=header.get("switch", CARRY),
    )


def _decoder(
    written: Mapping[str, Any] | int | None, tensors: Mapping[str, Tensor]
) -> DecoderMemory | None:
    """What a file says of its decoder; versions before 3 did not say whose tensors they held."""
    if not isinstance(written, Mapping):
        return None
    past = tuple(tensors[f"decoder.{index}"] for index in range(written["tensors"]))
    return DecoderMemory(written["name"], written["blocks"], past)


def _read_stream_header(
    path: Path, metadata: Mapping[str, str], entries: Mapping[str, Entry]
) -> dict[str, Any]:
    """The stream's own header, checked against the tensors that the file holds."""
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
        check_header(header, entries)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        _refuse(path, f"is damaged: its header does not describe a stream ({error})")
    return header


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(raw_bytes(tensor.cpu().contiguous()))


def _text_checksum(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _refuse(path: Path, reason: str) -> NoReturn:
    raise ValueError(f"{path.name} {reason}")
