"""Safetensors files: a checked header, tensors read one by one, and an atomic writer."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..model.checkpoints.errors import CheckpointError
from ..model.checkpoints.lazy import LazyDict, LazyTensor

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_HEADER = 100_000_000
_ALIGNMENT = 8


def describe(path: Path) -> tuple[LazyDict, dict[str, str]]:
    """Tensors and metadata of a safetensors file; only the header is read.

    Raises CheckpointError for a damaged, truncated or foreign file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        raw = file.read(length) if 2 <= length <= _MAX_HEADER else b""
    if not raw.startswith(b"{"):
        raise CheckpointError(
            f"{path} is no checkpoint: it is neither safetensors nor a PyTorch file"
        )
    if len(raw) < length:
        raise CheckpointError(
            f"{path} is truncated: {size:,} bytes are there, its header alone needs "
            f"{length + 8:,}; download it again"
        )
    try:
        header = json.loads(raw)
        metadata = header.pop("__metadata__", {})
        ends = [entry["data_offsets"][1] for entry in header.values()]
        tensors = {name: _entry(path, name, entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, IndexError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} has a damaged safetensors header; download it again") from (
            error
        )
    expected = 8 + length + max(ends, default=0)
    if size < expected:
        raise CheckpointError(
            f"{path} is truncated: {size:,} of {expected:,} bytes are there; download it again"
        )
    if not tensors:
        raise CheckpointError(f"{path} is a safetensors file without any tensor in it")
    return tensors, metadata


def _entry(path: Path, name: str, entry: Mapping) -> LazyTensor:
    if entry["dtype"] not in _DTYPES:
        raise CheckpointError(
            f"{path} stores {name} as {entry['dtype']}, a packed format that only its own loader "
            "reads; take the bf16, fp16 or fp8 version of the model"
        )
    return LazyTensor(tuple(entry["shape"]), _DTYPES[entry["dtype"]], partial(_load, path, name))


def _load(path: Path, name: str) -> Tensor:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def write(
    path: Path,
    tensors: LazyDict,
    metadata: Mapping[str, str],
    dtypes: Mapping[str, torch.dtype],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a safetensors file, one tensor in memory at a time.

    The file appears under its name only when it is complete. `dtypes` names the storage dtype
    of tensors that are not written as they are. `progress` is told the bytes written and in
    all; it may raise to cancel.
    """
    header, offset = {"__metadata__": dict(metadata)}, 0
    # Widest types first keeps every tensor aligned without padding between them.
    order = sorted(tensors, key=lambda n: (-dtypes.get(n, tensors[n].dtype).itemsize, n))
    for name in order:
        dtype = dtypes.get(name, tensors[name].dtype)
        size = math.prod(tensors[name].shape) * dtype.itemsize
        header[name] = {
            "dtype": _NAMES[dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in order:
                tensor = tensors[name].load().detach()
                tensor = tensor.to("cpu", dtypes.get(name, tensors[name].dtype)).contiguous()
                file.write(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
                if progress is not None:
                    progress(header[name]["data_offsets"][1], offset)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
