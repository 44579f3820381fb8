"""Opening files and folders: what is stored, without reading the tensors yet."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ...storage.lazy import LazyDict, LazyTensor, lazily
from ...storage.safetensors_file import (
    CHECKPOINT_LIMITS,
    Entry,
    NotSafetensors,
    Truncated,
    UnknownDtype,
    map_tensor,
    read_header,
)
from .errors import CheckpointError
from .pickled import load_pickled
from .sniffing import kind_of

WEIGHT_KEYS = ("generator_ema", "generator", "ema_model", "ema", "model_ema", "model", "state_dict")
"""Entries that hold the weights to sample with, best first; averaged weights come first."""

LORA_KEYS = ("generator_lora", "lora", *WEIGHT_KEYS)

_MOST_LEVELS = 16

_INDEX_NAMES = ("diffusion_pytorch_model.safetensors.index.json", "model.safetensors.index.json")
_SINGLE_NAMES = (
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "adapter_model.safetensors",
    "pytorch_lora_weights.safetensors",
)


class Stored(NamedTuple):
    """The raw content of a file: names as they were written.

    `key` is the path of the entry that was taken ("" for a bare file), `ignored` the entries
    that were left, `metadata` the file's own notes plus `num_heads` from a config beside it.
    """

    tensors: LazyDict
    metadata: dict[str, str]
    source: str
    key: str
    ignored: tuple[str, ...]


def read_stored(
    source: str | Path | Mapping[str, Any], keys: tuple[str, ...] = WEIGHT_KEYS
) -> Stored:
    """Describe the tensors of a file, a diffusers folder, or a (nested) dict in memory.

    Files are told apart by their content, not by their name. Raises CheckpointError.
    """
    if isinstance(source, Mapping):
        return _from_mapping(source, "the given state dict", keys)
    path = Path(source)
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; check the name and the folder")
    if path.is_dir():
        return _from_folder(path)
    if path.name.endswith(".index.json"):
        return _from_shards(path)
    kind = kind_of(path)
    if kind == "safetensors":
        return _from_safetensors(path)
    return _from_mapping(load_pickled(path, kind), str(path), keys)


def _from_safetensors(path: Path) -> Stored:
    tensors, metadata = _describe(path)
    beside = _beside(path.parent) if path.name in _SINGLE_NAMES else {}
    return Stored(tensors, beside | metadata, str(path), "", ())


def _describe(path: Path) -> tuple[LazyDict, dict[str, str]]:
    """Tensors and metadata of a safetensors file; only the header is read."""
    try:
        with path.open("rb") as file:
            entries, metadata = read_header(file, CHECKPOINT_LIMITS)
    except NotSafetensors as error:
        raise CheckpointError(
            f"{path} is not a checkpoint: it is neither safetensors nor a PyTorch file"
        ) from error
    except Truncated as error:
        raise CheckpointError(f"{path} is truncated: {error}; download it again") from error
    except UnknownDtype as error:
        raise CheckpointError(
            f"{path} stores {error.name} as {error.dtype}, a packed format that only its own "
            "loader reads; take the bf16, fp16 or fp8 version of the model"
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"{path} has a damaged safetensors header ({error}); download it again"
        ) from error
    if not entries:
        raise CheckpointError(f"{path} is a safetensors file without any tensor in it")
    tensors = {
        name: LazyTensor(entry.shape, entry.dtype, partial(_load, path, entry))
        for name, entry in entries.items()
    }
    return tensors, metadata


def _load(path: Path, entry: Entry) -> Tensor:
    try:
        return map_tensor(path, entry)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def _from_folder(folder: Path) -> Stored:
    for place in (folder, folder / "transformer"):
        for name in _INDEX_NAMES:
            if (place / name).is_file():
                return _from_shards(place / name)
        for name in _SINGLE_NAMES:
            if (place / name).is_file():
                return _from_safetensors(place / name)
    raise CheckpointError(
        f"{folder} is a folder without {_SINGLE_NAMES[0]} or its index; expected a diffusers "
        "model folder, or one with a transformer folder inside"
    )


def _from_shards(index: Path) -> Stored:
    weight_map = _json(index).get("weight_map", {})
    if not isinstance(weight_map, dict) or any(type(s) is not str for s in weight_map.values()):
        raise CheckpointError(f"{index} is damaged: its weight_map is no table of file names")
    shards = sorted(set(weight_map.values()))
    if outside := [shard for shard in shards if Path(shard).name != shard or "\\" in shard]:
        raise CheckpointError(
            f"{index} names {outside[0][:80]!r}, which is not a file beside it; it is refused"
        )
    tensors: LazyDict = {}
    metadata = _beside(index.parent)
    for shard in shards:
        path = index.parent / shard
        if not path.is_file():
            raise CheckpointError(
                f"{index.parent} is incomplete: {shard} is missing, one of {len(shards)} parts; "
                "download it again"
            )
        part, notes = _describe(path)
        metadata |= notes
        tensors |= part
    absent = sorted(set(weight_map) - set(tensors))
    if absent:
        raise CheckpointError(
            f"{index.parent} is inconsistent: {len(absent)} tensors of its index are in none of "
            f"its parts, the first is {absent[0]}"
        )
    return Stored(tensors, metadata, str(index.parent), "", ())


def _beside(folder: Path) -> dict[str, str]:
    """Facts from `config.json` or `adapter_config.json` that tensor shapes cannot tell."""
    facts: dict[str, str] = {}
    for name in ("config.json", "adapter_config.json"):
        if (folder / name).is_file():
            config = _json(folder / name)
            heads = config.get("num_attention_heads", config.get("num_heads"))
            facts |= {"num_heads": str(heads)} if heads else {}
            facts |= {k: json.dumps(config[k]) for k in ("lora_alpha", "use_rslora") if k in config}
    return facts


def _json(path: Path) -> dict[str, Any]:
    if (size := path.stat().st_size) > CHECKPOINT_LIMITS.header_bytes:
        raise CheckpointError(f"{path} has {size:,} bytes, more than any such file needs")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: it is not JSON; download it again") from error
    return content if isinstance(content, dict) else {}


def _from_mapping(content: Any, source: str, keys: tuple[str, ...]) -> Stored:
    """Walk into the entry that holds the weights."""
    metadata: dict[str, str] = {}
    taken: list[str] = []
    ignored: list[str] = []
    while isinstance(content, Mapping) and not _holds_weights(content, keys):
        nested = [name for name, value in content.items() if isinstance(value, Mapping) and value]
        key = next((key for key in keys if key in nested), None)
        if key is None and len(nested) == 1:
            key = nested[0]
        if key is None:
            found = ", ".join(map(str, list(content)[:6])) or "nothing"
            raise CheckpointError(
                f"{source} holds no state dict: found {found}; expected one of {', '.join(keys)} "
                "or bare tensors"
            )
        metadata |= _notes(content)
        ignored += [".".join((*taken, str(name))) for name in content if name != key]
        taken.append(str(key))
        if len(taken) > _MOST_LEVELS:  # a dict in a pickle may hold itself
            raise CheckpointError(
                f"{source} nests its weights more than {_MOST_LEVELS} dicts deep; "
                "ask its author for a safetensors file"
            )
        content = content[key]
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{source} holds a {type(content).__name__}, not a state dict of named tensors"
        )
    tensors = lazily({str(n): t for n, t in content.items() if isinstance(t, (Tensor, LazyTensor))})
    if (path := Path(source)).is_file():
        _check_extent(tensors, path)
    metadata |= _notes(content)
    ignored += [str(name) for name in content if str(name) not in tensors]
    return Stored(tensors, metadata, source, ".".join(taken), tuple(ignored))


def _check_extent(tensors: LazyDict, path: Path) -> None:
    """Raise CheckpointError when a tensor shows more values than the file can hold.

    A pickle can make a tensor of any shape from one value, by strides of 0.
    """
    size = path.stat().st_size
    for name, tensor in tensors.items():
        nbytes = math.prod(tensor.shape) * tensor.dtype.itemsize
        if nbytes > size:
            raise CheckpointError(
                f"{path} of {size:,} bytes has a tensor {name[:80]} of {nbytes:,} bytes; ask its "
                "author for a safetensors file"
            )


def _holds_weights(content: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    """A state dict, as against a container whose loose tensors are step counters."""
    if any(isinstance(content.get(key), Mapping) and content[key] for key in keys):
        return False
    return any(isinstance(value, (Tensor, LazyTensor)) for value in content.values())


def _notes(content: Mapping[str, Any]) -> dict[str, str]:
    """LoRA settings that trainers store next to the weights."""
    notes: dict[str, str] = {}
    for place in (content, *(content.get(k) for k in ("adapter_config", "peft_config", "config"))):
        if isinstance(place, Mapping):
            for name in ("lora_alpha", "alpha"):
                if isinstance(place.get(name), (int, float)):
                    notes["lora_alpha"] = json.dumps(place[name])
            if isinstance(place.get("use_rslora"), bool):
                notes["use_rslora"] = json.dumps(place["use_rslora"])
    return notes
