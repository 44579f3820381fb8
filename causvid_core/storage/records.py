"""Files that grow by records, each checksummed: what a killed process left at the end is seen.

A record is a head of `_HEAD` (mark, length and checksum of what follows, checksum of the head
itself), then a safetensors file of that length.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any, BinaryIO, NamedTuple

from torch import Tensor

from .safetensors_file import layout, raw_bytes

_MARK = b"CVjournl"
_HEAD = struct.Struct("<8sQII")
_SEARCHED = 2**20


class Place(NamedTuple):
    """A whole record: where its safetensors file begins, its bytes, and their checksum."""

    start: int
    nbytes: int
    checksum: int

    @property
    def end(self) -> int:
        return self.start + self.nbytes


def packed(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> list[bytes]:
    """The bytes of a record, head first. Raises HeaderTooLarge as `layout` does."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    dtypes = {name: tensor.dtype for name, tensor in own.items()}
    shapes = {name: tensor.shape for name, tensor in own.items()}
    header, ends = layout(dtypes, shapes, metadata)
    payload = [header, *(bytes(raw_bytes(own[name])) for name in ends)]
    checksum = 0
    for part in payload:
        checksum = zlib.crc32(part, checksum)
    head = _HEAD.pack(_MARK, sum(map(len, payload)), checksum, 0)[:-4]
    return [head + zlib.crc32(head).to_bytes(4, "little"), *payload]


def places(file: BinaryIO) -> Iterator[Place]:
    """Every whole record; what follows the last is no record yet.

    The last one is compared to its checksum, the others are left to `contents`. Raises ValueError,
    in words that follow the file's name, when one cannot be read and others come after it.
    """
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
        raise ValueError("is damaged: checkpoints in the middle of it cannot be read")


def _head(file: BinaryIO, at: int, size: int) -> Place | None:
    """The record that begins at a byte, if all of it can be there."""
    file.seek(at)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    mark, nbytes, checksum, own = _HEAD.unpack(head)
    place = Place(at + _HEAD.size, nbytes, checksum)
    return place if mark == _MARK and own == zlib.crc32(head[:-4]) and place.end <= size else None


def _is_whole(file: BinaryIO, place: Place) -> bool:
    file.seek(place.start)
    return zlib.crc32(file.read(place.nbytes)) == place.checksum


def contents(file: BinaryIO, place: Place) -> BufferedReader:
    """A record in memory. ValueError when it has changed since it was written."""
    file.seek(place.start)
    payload = file.read(place.nbytes)
    if zlib.crc32(payload) != place.checksum:
        raise ValueError("is damaged: a checkpoint in it has changed since it was written")
    return BufferedReader(BytesIO(payload))


def window(file: BinaryIO, place: Place) -> BufferedReader:
    """A record as a file of its own, read only where it is asked to."""
    return BufferedReader(_Window(file, place))


def _has_more(file: BinaryIO, at: int) -> bool:
    """Whether a whole record begins at a later byte."""
    size = file.seek(0, os.SEEK_END)
    for start in range(at, size, _SEARCHED):
        file.seek(start)
        searched = file.read(_SEARCHED + len(_MARK) - 1)
        found = searched.find(_MARK)
        while found >= 0:
            if _head(file, start + found, size) is not None:
                return True
            found = searched.find(_MARK, found + 1)
    return False


class _Window(RawIOBase):
    """A record's part of a file, as a file of its own."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
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
