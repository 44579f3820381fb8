"""Tensors in a safetensors file: a reader that trusts nothing, a writer that replaces in one move.

Streams come from anywhere, so the header is parsed within fixed limits and must account for every
byte of the file before memory is taken. Nothing is mapped into memory: a file that is overwritten
while its tensors are in use can neither change them nor crash the process.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

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

HEADER_LIMIT = 16 * 2**20
"""Bytes; an hour and a half of one-frame blocks, each with a prompt of its own, takes 10 MB."""

_PARTS_LIMIT = 1_000_000  # values of a header: what bounds the memory that parsing it takes
_MOST_AXES = 8
_MOST_DIGITS = 20
_PARTIAL = ".causvid-partial"
_STALE_SECONDS = 24 * 3600.0


class Entry(NamedTuple):
    """A tensor in a file; `start` counts bytes from the beginning of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    nbytes: int


def read_header(file: BinaryIO) -> tuple[dict[str, Entry], dict[str, str]]:
    """Every tensor's place, and the metadata.

    Raises ValueError saying what is wrong unless the header accounts for the whole file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 10 or length < 2:
        raise ValueError("it has no safetensors header")
    if length > HEADER_LIMIT:
        raise ValueError(f"its header claims {length:,} bytes, more than any stream needs")
    if 8 + length > size:
        raise ValueError(f"its header claims {length:,} bytes, but the file has {size:,}")
    header = parse_json(file.read(length).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or any(type(v) is not str for v in metadata.values()):
        raise ValueError("its notes are no texts")
    entries = {name: _entry(name, value, 8 + length) for name, value in header.items()}
    end = 8 + length
    for entry in sorted(entries.values(), key=lambda entry: (entry.start, entry.nbytes)):
        if entry.start != end:
            raise ValueError("its tensors overlap or leave gaps")
        end += entry.nbytes
    if end != size:
        raise ValueError(f"its header describes {end:,} bytes, but the file has {size:,}")
    return entries, metadata


def read_tensor(file: BinaryIO, entry: Entry) -> Tensor:
    """A tensor in memory of its own. ValueError when the file ends before it does."""
    tensor = torch.empty(entry.shape, dtype=entry.dtype)
    file.seek(entry.start)
    if file.readinto(memoryview(raw_bytes(tensor))) != entry.nbytes:
        raise ValueError("it became shorter while it was read")
    return tensor


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file, one tensor at a time, beside its final name, and move it there when whole.

    However the writing ends, `path` is the old file or the new one. Raises OSError when it cannot
    be written, ValueError for a header that `read_header` would refuse.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    # Widest types first keeps every tensor aligned without padding between them.
    order = sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    offset = 0
    for name in order:
        tensor = tensors[name]
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":"))
    text += " " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT or _parts(text) > _PARTS_LIMIT:
        raise ValueError(
            f"this stream has too many blocks for one file: its header takes {len(text):,} bytes"
        )
    _sweep(path.parent)
    partial = path.with_name(f".{secrets.token_hex(8)}{_PARTIAL}")
    try:
        with partial.open("xb") as file:
            file.write(len(text).to_bytes(8, "little") + text.encode("ascii"))
            for name in order:
                file.write(memoryview(raw_bytes(tensors[name].cpu().contiguous())))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def raw_bytes(tensor: Tensor) -> np.ndarray:
    """The bytes of a contiguous CPU tensor, sharing its memory."""
    return tensor.detach().view(-1).view(torch.uint8).numpy()


def parse_json(text: str) -> Any:
    """The value of a JSON text. ValueError when it is none, or names a key twice, or is too much.

    Memory stays within a small multiple of the text, whatever is in it.
    """
    if _parts(text) > _PARTS_LIMIT:
        raise ValueError("its header has more values than any stream needs")
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_int=_whole, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None


def _parts(text: str) -> int:
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
    fields = value if isinstance(value, dict) else {}
    dtype, shape, span = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    axes = shape if isinstance(shape, list) else [None]
    ends = span if isinstance(span, list) else []
    whole = all(type(number) is int and number >= 0 for number in (*axes, *ends))
    known = isinstance(dtype, str) and dtype in DTYPES
    if not known or not whole or len(ends) != 2 or len(axes) > _MOST_AXES:
        raise ValueError(f"its header does not describe {name[:80]!r}")
    nbytes = ends[1] - ends[0]
    if nbytes != math.prod(axes) * DTYPES[dtype].itemsize:
        raise ValueError(f"its header gives {name[:80]!r} a size that does not fit its shape")
    return Entry(DTYPES[dtype], tuple(axes), data_start + ends[0], nbytes)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half written, once nobody can be writing it any more."""
    for left in folder.glob(f".*{_PARTIAL}"):
        try:
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                left.unlink()
        except OSError:  # another process was faster, or may not be touched
            continue
