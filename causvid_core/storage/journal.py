"""Checkpoints of a stream, appended to one file: each costs what its new blocks cost.

A file is a row of records: a head of `_HEAD` (mark, length and checksum of what follows, checksum
of the head itself), then a safetensors file of that length. The first names the stream, each
further one holds blocks. What a killed process left at the end is no whole record: it is ignored
and overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import torch
from torch import Tensor

from ..stream.cache import KVSnapshot
from ..stream.segment import CARRY, checked_switch
from ..stream.state import DecoderMemory, StreamBlock, StreamState
from .atomic import replacing
from .disk import DiskStore
from .safetensors_file import layout, parse_json, raw_bytes, read_header, read_tensor, write
from .stream_checks import is_context, latents_of, short_text

FORMAT = "causvid-journal"
VERSION = 1
RECORD_BYTES = 32 * 2**20
"""Bytes of latents after which another record is begun: what reading one takes in memory."""
RECORD_BLOCKS = 1024

_MARK = b"CVjournl"
_HEAD = struct.Struct("<8sQII")
_CACHE = ".cache"
_SEARCHED = 2**20
_PLAIN = ("height", "width", "batch", "seed", "model")
_KINDS = ("keys", "values", "scales")


class _Place(NamedTuple):
    """A whole record: where its safetensors file begins, its bytes, and their checksum."""

    start: int
    nbytes: int
    checksum: int

    @property
    def end(self) -> int:
        return self.start + self.nbytes


class StreamJournal:
    """Writes the blocks that a stream gains after `begun` to a file.

    A file of the same stream is continued: `append` adds what a state has beyond it. Raises
    ValueError for a file of another stream or a damaged one, OSError when it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], begun: StreamState) -> None:
        self.path = Path(path)
        if not self.path.exists():
            with replacing(self.path) as partial, partial.open("xb") as file:
                file.writelines(_record({}, _names(begun)))
        self._blocks = begun.blocks
        self._last = begun.history[-1].id if begun.history else None
        self._contexts: dict[str, int] = {}
        self._newest: tuple[Tensor, int] | None = None
        self._file = self.path.open("r+b")
        try:
            self._continue(begun)
        except BaseException:
            self.close()
            raise

    @property
    def blocks(self) -> int:
        """Blocks of the stream that are written, those of `begun` included."""
        return self._blocks

    def append(self, state: StreamState) -> None:
        """Write the blocks of `state` that are not written yet, and its keys and values if any.

        They are on the disk when it returns. After an error, the file has some or none of them and
        the next call writes the others. Raises ValueError for a state that does not continue what
        is written, OSError when the file cannot be written.
        """
        known = state.history[self._blocks - 1].id if 0 < self._blocks <= state.blocks else None
        if state.blocks < self._blocks or known != self._last:
            raise ValueError(
                f"this state of {state.blocks} blocks does not continue the {self._blocks} in "
                f"{self.path.name}"
            )
        try:
            while self._blocks < state.blocks:
                self._append(state)
            self._keep(state.snapshot)
        except OSError as error:
            raise OSError(
                f"the checkpoint cannot be written to {self.path} ({error}); free some space there"
            ) from error

    def close(self) -> None:
        """Close the file; what was appended stays."""
        with suppress(OSError):  # what could not be flushed was not promised
            self._file.close()

    def _continue(self, begun: StreamState) -> None:
        """Find the end of what is written, reading no latents but the last."""
        self._end = 0
        for place in _places(self._file, self.path):
            _, metadata = read_header(BufferedReader(_Window(self._file, place)))
            values = _values(metadata, self.path)
            if not self._end:
                _check_names(values, begun, self.path)
            else:
                self._contexts |= {digest: int(n) for n, digest in values["new"].items()}
                self._blocks += len(values["ids"])
                self._last = values["ids"][-1]
            self._end = place.end
        if not self._end:
            _refuse(self.path, "holds no checkpoints of a stream")

    def _append(self, state: StreamState) -> None:
        """Write the next record. Mutates what is known to be written once it is on the disk."""
        blocks = list(_next_blocks(state, self._blocks))
        tensors = {"latents": torch.stack([block.latents for block in blocks])}
        numbers: list[int] = []
        new: dict[str, int] = {}
        for block in blocks:
            if self._newest is None or self._newest[0] is not block.context:
                digest = _digest(block.context)
                number = self._contexts.get(digest, new.get(digest))
                if number is None:
                    number = new[digest] = len(self._contexts) + len(new)
                    tensors[f"context.{number}"] = block.context
                self._newest = (block.context, number)
            numbers.append(self._newest[1])
        whole = self._blocks + len(blocks) == state.blocks
        decoder = state.decoder if whole else None
        values = {
            "ids": [block.id for block in blocks],
            "switches": [block.switch for block in blocks],
            "contexts": numbers,
            "new": {str(number): digest for digest, number in new.items()},
            "switch": state.switch if whole else CARRY,
            "decoder": decoder and [decoder.name, decoder.blocks],
        }
        try:
            self._file.seek(self._end)
            self._file.truncate()
            self._file.writelines(_record(tensors, values))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._newest = None
            raise
        self._end = self._file.tell()
        self._contexts |= new
        self._blocks += len(blocks)
        self._last = blocks[-1].id

    def _keep(self, snapshot: KVSnapshot | None) -> None:
        """Write keys and values beside the file and remove those of checkpoints before."""
        kept = _cache_path(self.path, self._blocks)
        if snapshot is not None:
            tensors = {
                f"{kind}.{n}": tensor.contiguous()
                for kind in _KINDS
                for n, tensor in enumerate(getattr(snapshot, kind))
            }
            checksums = {name: zlib.crc32(raw_bytes(part)) for name, part in tensors.items()}
            values = [snapshot.blocks, len(snapshot.keys), len(snapshot.scales), checksums]
            metadata = {"last": str(self._last), "signature": snapshot.signature}
            write(kept, tensors, metadata | {"values": json.dumps(values)})
        for path in _cache_paths(self.path):
            if path != kept or snapshot is None:
                path.unlink(missing_ok=True)


def load_journal(
    path: str | os.PathLike[str], begun: StreamState, store: DiskStore | None = None
) -> StreamState | None:
    """`begun` with the blocks that a `StreamJournal` wrote after it; None when there is no file.

    The state has the keys and values of its last block if they were kept. store: keeps its latents
    on disk instead of in memory. Raises ValueError for a file of another stream or one that is
    damaged before its end, OSError when it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        return None
    history, moved = list(begun.history), begun.blocks
    contexts: dict[int, Tensor] = {}
    switch, decoder, first = begun.switch, begun.decoder, True
    with path.open("rb") as file:
        for place in _places(file, path):
            file.seek(place.start)
            payload = file.read(place.nbytes)
            if zlib.crc32(payload) != place.checksum:
                _refuse(path, "is damaged: a checkpoint in it has changed since it was written")
            window = BufferedReader(BytesIO(payload))
            entries, metadata = read_header(window)
            values = _values(metadata, path)
            if first:
                _check_names(values, begun, path)
                first = False
                continue
            tensors = {name: read_tensor(window, entry) for name, entry in entries.items()}
            try:
                history += _blocks(begun, len(history), values, tensors, contexts)
                switch = checked_switch(values["switch"])
                decoder = values["decoder"] and DecoderMemory(*values["decoder"])
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                _refuse(path, f"is damaged: a checkpoint in it describes no blocks ({error})")
            waiting = history[moved:]
            if store is not None and store.is_worth_it([block.latents for block in waiting]):
                stored = store.move([block.latents for block in waiting])
                history[moved:] = [
                    block._replace(latents=latents)
                    for block, latents in zip(waiting, stored, strict=True)
                ]
                moved = len(history)
    if first:
        _refuse(path, "holds no checkpoints of a stream")
    if len({block.id for block in history}) != len(history):
        _refuse(path, "is damaged: it has a block twice")
    if len(history) == begun.blocks:
        return begun
    state = begun.uncached()._replace(history=tuple(history), switch=switch, decoder=decoder)
    return state._replace(snapshot=_cache(_cache_path(path, state.blocks), state))


def _next_blocks(state: StreamState, first: int) -> Iterator[StreamBlock]:
    """The blocks of the next record: of one shape, and no more than memory has room for."""
    nbytes, shape = 0, state.history[first].latents.shape
    for block in state.history[first : first + RECORD_BLOCKS]:
        nbytes += block.latents.nbytes
        full = block is not state.history[first] and nbytes > RECORD_BYTES
        if full or block.latents.shape != shape:
            return
        yield block


def _blocks(
    begun: StreamState,
    first: int,
    values: dict[str, Any],
    tensors: dict[str, Tensor],
    contexts: dict[int, Tensor],
) -> Iterator[StreamBlock]:
    """The blocks of a record. Adds its new contexts to `contexts`."""
    latents, size = tensors["latents"], (begun.batch, begun.height, begun.width)
    for number in values["new"]:
        context = tensors[f"context.{number}"]
        if not is_context(_dtype(context), context.shape, begun.batch):
            raise ValueError(f"context {number} is no prompt")
        contexts[int(number)] = context
    rows = zip(values["ids"], latents, values["contexts"], values["switches"], strict=True)
    for index, (key, own, number, switch) in enumerate(rows, first):
        short_text("block key", key)
        if (_dtype(own), tuple(own.shape)) != latents_of(begun.policy, index, *size):
            raise ValueError(f"block {index} has latents of shape {tuple(own.shape)}")
        yield StreamBlock(key, own, contexts[number], checked_switch(switch))


def _cache(path: Path, state: StreamState) -> KVSnapshot | None:
    """Keys and values of a state that were kept beside it; None for any that do not fit it."""
    try:
        with path.open("rb") as file:
            entries, metadata = read_header(file)
            blocks, layers, scales, checksums = parse_json(metadata["values"])
            if metadata["last"] != state.history[-1].id:
                return None
            tensors = {name: read_tensor(file, entry) for name, entry in entries.items()}
        if any(zlib.crc32(raw_bytes(part)) != checksums[name] for name, part in tensors.items()):
            return None
        counts = dict(zip(_KINDS, (layers, layers, scales), strict=True))
        keys, values, factors = (
            tuple(tensors[f"{kind}.{n}"] for n in range(count)) for kind, count in counts.items()
        )
        return KVSnapshot(keys, values, blocks, metadata["signature"], factors)
    except (LookupError, OSError, TypeError, ValueError):
        return None  # they are computed again


def _cache_path(path: Path, blocks: int) -> Path:
    return path.with_name(f"{path.name}.{blocks}{_CACHE}")


def _cache_paths(path: Path) -> list[Path]:
    own = [other for other in path.parent.iterdir() if other.name.startswith(f"{path.name}.")]
    numbers = [other.name.removeprefix(f"{path.name}.").removesuffix(_CACHE) for other in own]
    return [other for other, number in zip(own, numbers, strict=True) if number.isdecimal()]


def _names(begun: StreamState) -> dict[str, Any]:
    """What tells the stream that a journal belongs to."""
    last = begun.history[-1] if begun.history else None
    return {
        "recipe": begun.recipe.to_dict(),
        **{name: getattr(begun, name) for name in _PLAIN},
        "blocks": begun.blocks,
        "switch": begun.switch,
        "last": last and [_digest(last.latents), _digest(last.context), last.switch],
    }


def _check_names(values: dict[str, Any], begun: StreamState, path: Path) -> None:
    wanted = json.loads(json.dumps(_names(begun)))
    for name, value in wanted.items():
        if name not in values or values[name] != value:
            _refuse(path, f"holds checkpoints of another stream: its {name} differs")


def _record(tensors: dict[str, Tensor], values: dict[str, Any]) -> list[bytes]:
    """The bytes of a record, head first."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    dtypes = {name: tensor.dtype for name, tensor in own.items()}
    shapes = {name: tensor.shape for name, tensor in own.items()}
    metadata = {"format": FORMAT, "version": str(VERSION), "values": json.dumps(values)}
    header, ends = layout(dtypes, shapes, metadata)
    payload = [header, *(bytes(raw_bytes(own[name])) for name in ends)]
    checksum = 0
    for part in payload:
        checksum = zlib.crc32(part, checksum)
    head = _HEAD.pack(_MARK, sum(map(len, payload)), checksum, 0)[:-4]
    return [head + zlib.crc32(head).to_bytes(4, "little"), *payload]


def _values(metadata: dict[str, str], path: Path) -> dict[str, Any]:
    """What a record says besides tensors."""
    version = metadata.get("version", "")
    if metadata.get("format") != FORMAT:
        _refuse(path, "holds no checkpoints of a stream")
    if version != str(VERSION):
        _refuse(path, f"has checkpoints of version {version[:20]}; this one reads {VERSION}")
    values: dict[str, Any] = parse_json(metadata["values"])
    return values


def _places(file: BinaryIO, path: Path) -> Iterator[_Place]:
    """Every whole record. ValueError when one is damaged and others follow it."""
    size, at = file.seek(0, os.SEEK_END), 0
    place = _head(file, at, size)
    while place is not None:
        following = _head(file, place.end, size)
        if following is None and not _is_whole(file, place):
            break
        at = place.end
        yield place
        place = following
    if _has_more(file, at + 1):
        _refuse(path, "is damaged: checkpoints in the middle of it cannot be read")


def _head(file: BinaryIO, at: int, size: int) -> _Place | None:
    """The record that begins at a byte, if all of it can be there."""
    file.seek(at)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    mark, nbytes, checksum, own = _HEAD.unpack(head)
    place = _Place(at + _HEAD.size, nbytes, checksum)
    return place if mark == _MARK and own == zlib.crc32(head[:-4]) and place.end <= size else None


def _is_whole(file: BinaryIO, place: _Place) -> bool:
    file.seek(place.start)
    return zlib.crc32(file.read(place.nbytes)) == place.checksum


def _has_more(file: BinaryIO, at: int) -> bool:
    """Whether a whole record begins at a later byte."""
    size = file.seek(0, os.SEEK_END)
    while at < size:
        file.seek(at)
        found = file.read(_SEARCHED).find(_MARK)
        if found < 0:
            at += _SEARCHED - len(_MARK) + 1
        elif _head(file, at + found, size) is not None:
            return True
        else:
            at += found + 1
    return False


class _Window(RawIOBase):
    """A record's part of a file, as a file of its own."""

    def __init__(self, file: BinaryIO, place: _Place) -> None:
        self._file, self._place, self._at = file, place, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._place.nbytes}
        self._at = origin[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._place.start + self._at)
        data = self._file.read(min(len(buffer), max(0, self._place.nbytes - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _digest(tensor: Tensor) -> str:
    """Tells tensors by dtype, shape and values."""
    own = tensor.detach().cpu().contiguous()
    found = hashlib.sha256(f"{own.dtype} {tuple(own.shape)} ".encode())
    found.update(raw_bytes(own))
    return found.hexdigest()


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _refuse(path: Path, reason: str) -> NoReturn:
    raise ValueError(f"{path.name} {reason}")
