"""Streams in files: safetensors with a versioned header, never pickle.

The header is checked completely, sizes and all, before a tensor is read; every tensor carries a
checksum. A file is written beside its final name and moved there when it is whole.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .cache import KVSnapshot, LiveCache
from .plan import Plan
from .recipe import Recipe
from .state import StreamBlock, StreamState

FORMAT = "causvid-stream"
VERSION = 1


def save_stream(state: StreamState, path: str | os.PathLike[str]) -> None:
    """Write a state to a file, with its keys and values when it has a snapshot.

    `state.exact()` takes a snapshot, `state.light()` drops it. An existing file is replaced in
    one move. Raises OSError when the file cannot be written.
    """
    tensors, header = _pack(state)
    header["checksums"] = {name: _checksum(tensor) for name, tensor in tensors.items()}
    text = json.dumps(header)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "stream": text,
        "checksum": str(zlib.crc32(text.encode())),
    }
    path = Path(path)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        save_file(tensors, partial, metadata)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_stream(path: str | os.PathLike[str]) -> StreamState:
    """Read a state that `save_stream` wrote.

    Raises FileNotFoundError, or ValueError saying why the file is refused: damaged, cut short,
    of another kind, or written by a newer version. Nothing is half loaded.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no stream file {path}")
    try:
        with safe_open(path, "pt") as file:
            header = _read_header(path, file.metadata() or {})
            expected = _expected(path, header)
            _check_tensors(path, file, expected)
            tensors = {name: file.get_tensor(name) for name in expected}
    except SafetensorError as error:
        _refuse(path, f"is damaged, cut short or no stream file at all ({error})")
    for name, tensor in tensors.items():
        same_kind = str(tensor.dtype) == f"torch.{expected[name][0]}"
        if not same_kind or _checksum(tensor) != header["checksums"].get(name):
            _refuse(path, f"is damaged: the contents of {name} have changed since it was written")
    return _unpack(header, tensors)


def _pack(state: StreamState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Named tensors and the JSON header of a state; contexts that blocks share appear once."""
    tensors: dict[str, Tensor] = {}
    contexts: dict[int, str] = {}
    blocks = []
    for index, block in enumerate(state.history):
        name = contexts.setdefault(id(block.context), f"context.{len(contexts)}")
        tensors[name] = block.context.contiguous()
        tensors[f"latents.{index}"] = block.latents.contiguous()
        blocks.append({"key": block.key, "context": name})
    snapshot = None
    if state.snapshot is not None:
        for kind in ("keys", "values"):
            for layer, tensor in enumerate(getattr(state.snapshot, kind)):
                tensors[f"{kind}.{layer}"] = tensor.contiguous()
        snapshot = {
            "blocks": state.snapshot.blocks,
            "layers": len(state.snapshot.keys),
            "signature": state.snapshot.signature,
        }
    for index, tensor in enumerate(state.decoder):
        tensors[f"decoder.{index}"] = tensor.cpu().contiguous()
    shapes = {
        name: [str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        for name, tensor in tensors.items()
    }
    header = {
        "recipe": state.recipe.to_dict(),
        "height": state.height,
        "width": state.width,
        "batch": state.batch,
        "seed": state.seed,
        "model": state.model,
        "blocks": blocks,
        "snapshot": snapshot,
        "decoder": len(state.decoder),
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
        )
    return StreamState(
        recipe=Recipe.from_dict(header["recipe"]),
        height=header["height"],
        width=header["width"],
        batch=header["batch"],
        seed=header["seed"],
        model=header["model"],
        history=tuple(
            StreamBlock(block["key"], tensors[f"latents.{index}"], tensors[block["context"]])
            for index, block in enumerate(header["blocks"])
        ),
        snapshot=snapshot,
        decoder=tuple(tensors[f"decoder.{index}"] for index in range(header["decoder"])),
        live=LiveCache(),
    )


def _read_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        _refuse(path, "is a safetensors file of another kind, such as model weights")
    version = metadata.get("version", "")
    if not version.isdigit():
        _refuse(path, f"is damaged: its version reads {version!r}")
    if int(version) > VERSION:
        _refuse(
            path,
            f"has format version {version}, newer than the {VERSION} that this version of "
            "CausVid Stream reads; update it",
        )
    text = metadata.get("stream", "")
    if str(zlib.crc32(text.encode())) != metadata.get("checksum"):
        _refuse(path, "is damaged: its header has changed since it was written")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        _refuse(path, f"is damaged: its header is no JSON ({error})")


def _expected(path: Path, header: Mapping[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every tensor, after checking that they make a stream."""
    try:
        plan = Plan.of(Recipe.from_dict(header["recipe"]))
        size = (header["batch"], header["height"], header["width"])
        declared = {name: (kind, tuple(shape)) for name, (kind, shape) in header["tensors"].items()}
        whole = [*size, header["seed"], header["decoder"]]
        whole += [axis for _, shape in declared.values() for axis in shape]
        sound = all(isinstance(value, int) for value in whole) and min(size) > 0
        names = set()
        for index, block in enumerate(header["blocks"]):
            names |= {f"latents.{index}", block["context"]}
            latents, context = declared[f"latents.{index}"][1], declared[block["context"]][1]
            sound = sound and isinstance(block["key"], str) and len(context) == 3
            sound = sound and (latents[0], *latents[2:]) == (
                size[0], plan.span(index).frames, *size[1:],
            )  # fmt: skip
        if (snapshot := header["snapshot"]) is not None:
            sound = sound and 0 <= snapshot["blocks"] <= len(header["blocks"])
            for layer in range(snapshot["layers"]):
                names |= {f"keys.{layer}", f"values.{layer}"}
                keys, values = (declared[f"{kind}.{layer}"] for kind in ("keys", "values"))
                sound = sound and keys == values and len(keys[1]) == 4 and keys[1][0] == size[0]
        names |= {f"decoder.{index}" for index in range(header["decoder"])}
        sound = sound and names == set(declared)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        _refuse(path, f"is damaged: its header does not describe a stream ({error})")
    if not sound:
        _refuse(path, "is damaged: its header contradicts itself")
    return declared


def _check_tensors(
    path: Path, file: Any, expected: Mapping[str, tuple[str, tuple[int, ...]]]
) -> None:
    if set(file.keys()) != set(expected):
        _refuse(path, "is damaged: it does not hold the tensors that its header names")
    for name, (_, shape) in expected.items():
        found = file.get_slice(name)
        if tuple(found.get_shape()) != shape:
            _refuse(path, f"is damaged: {name} has shape {found.get_shape()}, expected {shape}")


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.contiguous().view(-1).view(torch.uint8).numpy())


def _refuse(path: Path, reason: str) -> NoReturn:
    raise ValueError(f"{path.name} {reason}")
