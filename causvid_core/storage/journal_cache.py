"""Keys and values of a stream's last checkpoint, in a file beside its journal.

They are worth keeping where recomputing them would not give the same (8 bits) or takes long, and
replaced as a whole: only the newest serve. The file's name tells the blocks that it belongs to.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from ..stream.cache import KVSnapshot
from ..stream.state import StreamState
from .safetensors_file import parse_json, raw_bytes, read_header, read_tensor, write

_SUFFIX = ".cache"
_KINDS = ("keys", "values", "scales")


class CacheBeside:
    """The files beside the journal `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        beside = [other for other in path.parent.iterdir() if other.suffix == _SUFFIX]
        self._there = {
            other
            for other in beside
            if other.stem.startswith(f"{path.name}.")
            and other.stem.removeprefix(f"{path.name}.").isdecimal()
        }

    def keep(self, state: StreamState) -> None:
        """Write the state's keys and values, if it has any, and remove those of others."""
        path = self._of(state)
        if state.snapshot is not None:
            _write(path, state.snapshot, state.history[-1].id)
        for other in self._there - ({path} if state.snapshot is not None else set()):
            other.unlink(missing_ok=True)
        self._there = {path} if state.snapshot is not None else set()

    def kept(self, state: StreamState) -> KVSnapshot | None:
        """The keys and values of a state; None when there are none that fit: they are computed."""
        try:
            return _read(self._of(state), state.history[-1].id)
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
            return None

    def _of(self, state: StreamState) -> Path:
        return self._path.with_name(f"{self._path.name}.{state.blocks}{_SUFFIX}")


def _write(path: Path, snapshot: KVSnapshot, last: str) -> None:
    tensors = {
        f"{kind}.{number}": tensor.contiguous()
        for kind in _KINDS
        for number, tensor in enumerate(getattr(snapshot, kind))
    }
    checksums = {name: zlib.crc32(raw_bytes(tensor)) for name, tensor in tensors.items()}
    values = [snapshot.blocks, len(snapshot.keys), len(snapshot.scales), checksums]
    metadata = {"last": last, "signature": snapshot.signature, "values": json.dumps(values)}
    write(path, tensors, metadata)


def _read(path: Path, last: str) -> KVSnapshot | None:
    with path.open("rb") as file:
        entries, metadata = read_header(file)
        blocks, layers, scales, checksums = parse_json(metadata["values"])
        if metadata["last"] != last:
            return None
        tensors = {name: read_tensor(file, entry) for name, entry in entries.items()}
    if any(zlib.crc32(raw_bytes(part)) != checksums[name] for name, part in tensors.items()):
        return None
    counts = dict(zip(_KINDS, (layers, layers, scales), strict=True))
    keys, values, factors = (
        tuple(tensors[f"{kind}.{number}"] for number in range(count))
        for kind, count in counts.items()
    )
    return KVSnapshot(keys, values, blocks, metadata["signature"], factors)
