"""Safetensors files: a reader that trusts nothing and an atomic writer.

Files come from anywhere, so a header is parsed within fixed limits and must account for every byte
of its file before memory is taken. Messages begin with what follows the file's name, as in
"it became shorter while it was read".
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .atomic import replacing
from .lazy import LazyTensor, lazily

DTYPES = {
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
NAMES = {dtype: name for name, dtype in DTYPES.items()}

_MOST_AXES = 8
_MOST_DIGITS = 20
_LONGEST_NAME = 1000


class Limits(NamedTuple):
    """Of a header: its bytes, and its values, which bound the memory that parsing it takes."""

    header_bytes: int
    values: int


LIMITS = Limits(16 * 2**20, 1_000_000)
"""Of the files this project writes. Streams take 1 MB however long they are; notes come on top."""

CHECKPOINT_LIMITS = Limits(16 * 2**20, 500_000)
"""Of published weights: 55,000 tensors, where 14B has 1,095 in 130 kB, and a workflow's text."""


class NotSafetensors(ValueError):
    """The file does not begin like a safetensors file."""


class Truncated(ValueError):
    """The file ends before what its header describes does."""


class UnknownDtype(ValueError):
    """A tensor is stored in a format that is not read here: `name` and `dtype` say which."""

    def __init__(self, name: str, dtype: str) -> None:
        super().__init__(f"it stores {name[:80]!r} as {dtype[:80]}, which is not read here")
        self.name, self.dtype = name, dtype


class HeaderTooLarge(ValueError):
    """A header that the reader would refuse is not written."""


class Entry(NamedTuple):
    """A tensor in a file; `start` counts bytes from the beginning of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    nbytes: int


def read_header(
    file: BufferedReader, limits: Limits | None = None
) -> tuple[dict[str, Entry], dict[str, str]]:
    """Every tensor's place, and the metadata; limits are `LIMITS` when None.

    Raises ValueError, or one of this module's subclasses of it, unless the header accounts for the
    whole file.
    """
    limits = limits or LIMITS
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 10 or length < 2 or file.read(1) != b"{":
        raise NotSafetensors("it has no safetensors header")
    if length > limits.header_bytes:
        raise NotSafetensors(f"its header claims {length:,} bytes, more than any such file needs")
    start = 8 + length
    if start > size:
        raise Truncated(f"{size:,} bytes are there, its header alone needs {start:,}")
    file.seek(8)
    header = parse_json(file.read(length).decode("utf-8"), limits)
    if not isinstance(header, dict):
        raise ValueError("its header is not a table")
    metadata = header.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or any(type(v) is not str for v in metadata.values()):
        raise ValueError("its metadata is not text")
    entries = {name: _entry(name, value, start) for name, value in header.items()}
    end = start
    for entry in sorted(entries.values(), key=lambda entry: (entry.start, entry.nbytes)):
        if entry.start != end:
            raise ValueError("its tensors overlap or leave gaps")
        end += entry.nbytes
    if end > size:
        raise Truncated(f"{size:,} of {end:,} bytes are there")
    if end < size:
        raise ValueError(f"its header describes {end:,} bytes, but the file has {size:,}")
    return entries, metadata


def read_tensor(file: BufferedReader, entry: Entry) -> Tensor:
    """A tensor in memory of its own, which nothing that happens to the file can change.

    Raises ValueError when the file ends before the tensor does.
    """
    tensor = torch.empty(entry.shape, dtype=entry.dtype)
    file.seek(entry.start)
    if file.readinto(raw_bytes(tensor)) != entry.nbytes:
        raise Truncated("it became shorter while it was read")
    return tensor


def map_tensor(path: Path, entry: Entry) -> Tensor:
    """A tensor that stays in the file until it is read: for weights, which are copied once.

    Writing to it changes it in memory, never in the file. Raises OSError or ValueError when the
    file is not there any more or has become shorter.
    """
    if not entry.nbytes:
        return torch.empty(entry.shape, dtype=entry.dtype)
    mapped = np.memmap(path, np.uint8, "c", entry.start, (entry.nbytes,))
    return torch.from_numpy(mapped).view(entry.dtype).view(entry.shape)


def write(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor | LazyTensor],
    metadata: Mapping[str, str],
    dtypes: Mapping[str, torch.dtype] | None = None,
    progress: Callable[[int, int], object] | None = None,
    limits: Limits | None = None,
) -> None:
    """Write a file, one tensor in memory at a time; it replaces `path` when it is whole.

    dtypes: what a tensor is stored as, where it is not its own dtype. progress: called with the
    bytes written and in all; it may raise to cancel. Raises OSError when the file cannot be
    written, HeaderTooLarge for a header beyond `limits` (`LIMITS` when None).
    """
    dtypes, stored = dtypes or {}, lazily(tensors)
    as_stored = {name: dtypes.get(name, tensor.dtype) for name, tensor in stored.items()}
    shapes = {name: tensor.shape for name, tensor in stored.items()}
    header, ends = layout(as_stored, shapes, metadata, limits)
    with replacing(path) as partial, partial.open("xb") as file:
        file.write(header)
        for name, written in ends.items():
            tensor = stored[name].load().detach().to("cpu", as_stored[name])
            file.write(raw_bytes(tensor.contiguous()))
            if progress is not None:
                progress(written, max(ends.values()))


def layout(
    dtypes: Mapping[str, torch.dtype],
    shapes: Mapping[str, Sequence[int]],
    metadata: Mapping[str, str],
    limits: Limits | None = None,
) -> tuple[bytes, dict[str, int]]:
    """What a file begins with, and where each tensor's data ends after it, in the file's order.

    Raises HeaderTooLarge for a header beyond `limits` (`LIMITS` when None).
    """
    limits = limits or LIMITS
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    ends: dict[str, int] = {}
    end = 0
    # Widest types first keeps every tensor aligned without padding between them.
    for name in sorted(dtypes, key=lambda name: -dtypes[name].itemsize):
        start, shape = end, shapes[name]
        end = ends[name] = start + math.prod(shape) * dtypes[name].itemsize
        dtype = NAMES[dtypes[name]]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"))
    text += " " * (-len(text) % 8)
    if len(text) > limits.header_bytes or _values(text) > limits.values:
        raise HeaderTooLarge(f"its header takes {len(text):,} bytes")
    return len(text).to_bytes(8, "little") + text.encode("ascii"), ends


def raw_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor, sharing its memory."""
    return tensor.detach().view(-1).view(torch.uint8).numpy().data


def parse_json(text: str, limits: Limits | None = None) -> Any:
    """The value of a JSON text. ValueError when it is none, or names a key twice, or is too much.

    Memory stays within a small multiple of the text, whatever is in it.
    """
    if _values(text) > (limits or LIMITS).values:
        raise ValueError("its header has more values than any such file needs")
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_int=_whole, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None


def _values(text: str) -> int:
    """At least as many as a JSON text has values."""
    return sum(text.count(mark) for mark in "[{,")


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > _MOST_DIGITS:
        raise ValueError(f"its header has a number of {len(digits):,} digits")
    return int(digits)


def _no_number(name: str) -> float:
    raise ValueError(f"its header has {name} in place of a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header names something twice")
    return found


def _entry(name: str, value: Any, data_start: int) -> Entry:
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"its header names a tensor with {len(name):,} characters")
    fields = value if isinstance(value, dict) else {}
    dtype, shape, span = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if isinstance(dtype, str) and dtype not in DTYPES:
        raise UnknownDtype(name, dtype)
    if not isinstance(dtype, str) or not isinstance(shape, list) or not isinstance(span, list):
        raise ValueError(f"its header does not describe {name[:80]!r}")
    whole = all(type(number) is int and number >= 0 for number in (*shape, *span))
    if not whole or len(span) != 2 or len(shape) > _MOST_AXES:
        raise ValueError(f"its header does not describe {name[:80]!r}")
    nbytes = span[1] - span[0]
    if nbytes != math.prod(shape) * DTYPES[dtype].itemsize:
        raise ValueError(f"its header gives {name[:80]!r} a size that does not fit its shape")
    return Entry(DTYPES[dtype], tuple(shape), data_start + span[0], nbytes)
