"""A stream file whose header is checked, read as a state; every tensor against its checksum."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from itertools import chain
from typing import Any

from torch import Tensor

from ..stream.cache import KVSnapshot, LiveCache
from ..stream.recipe import Recipe
from ..stream.segment import CARRY
from ..stream.state import DecoderMemory, StreamBlock, StreamState
from .disk import DiskStore, stored
from .safetensors_file import Entry, Truncated, raw_bytes, read_tensor
from .stream_checks import PLAIN, TABLES
from .stream_tables import Tables, read_tables, split_contexts

_Row = tuple[str, Tensor, str]
"""Id, prompt and switch of a block."""
_Latents = Iterator[Tensor]


class Reading:
    """Tensors of an open file, each compared to its checksum.

    What it raises says in words that follow the file's name what is wrong.
    """

    def __init__(
        self, file: BufferedReader, entries: Mapping[str, Entry], sums: dict[str, int]
    ) -> None:
        self._file, self._entries, self._checksums = file, entries, sums

    def tensor(self, name: str) -> Tensor:
        """A whole tensor."""
        [tensor] = self._parts(name, [self._entries[name]])
        return tensor

    def tables(self, header: Mapping[str, Any]) -> Tables:
        """The tables of the blocks."""
        tensors = {name: self.tensor(name) for name in ("ids", *TABLES)}
        try:
            return read_tables(header, tensors)
        except ValueError as error:
            raise ValueError(
                f"is damaged: its tables do not describe a stream ({error})"
            ) from error

    def rows(self, name: str) -> Iterator[Tensor]:
        """The parts of a tensor along its first axis; the last comes once all are as written."""
        dtype, shape, start, nbytes = self._entries[name]
        row = nbytes // shape[0]
        parts = [Entry(dtype, shape[1:], start + n * row, row) for n in range(shape[0])]
        return self._parts(name, parts)

    def _parts(self, name: str, entries: Sequence[Entry]) -> Iterator[Tensor]:
        checksum = 0
        for number, entry in enumerate(entries, 1):
            try:
                tensor = read_tensor(self._file, entry)
            except Truncated as error:
                raise ValueError(f"is cut short: {error}") from error
            checksum = zlib.crc32(raw_bytes(tensor), checksum)
            if number == len(entries) and checksum != self._checksums[name]:
                raise ValueError(
                    f"is damaged: the contents of {name} have changed since it was made"
                )
            yield tensor


def unpack(
    header: Mapping[str, Any], version: int, reading: Reading, store: DiskStore | None
) -> StreamState:
    """The state in a file whose header is checked. Raises ValueError as `Reading` does."""
    if version < 4:
        rows, latents = _listed_blocks(header["blocks"], reading)
    else:
        rows, latents = _tabled_blocks(header, reading)
    snapshot = header["snapshot"]
    if snapshot is not None:
        layers = range(snapshot["layers"])
        snapshot = KVSnapshot(
            tuple(reading.tensor(f"keys.{layer}") for layer in layers),
            tuple(reading.tensor(f"values.{layer}") for layer in layers),
            snapshot["blocks"],
            snapshot["signature"],
            tuple(
                reading.tensor(f"scales.{number}") for number in range(snapshot.get("scales", 0))
            ),
        )
    decoder = _decoder(header["decoder"], reading)
    return StreamState(
        recipe=Recipe.from_dict(header["recipe"]),
        **{name: header[name] for name in PLAIN},
        history=tuple(
            StreamBlock(key, own, context, switch)
            for (key, context, switch), own in zip(rows, stored(latents, store), strict=True)
        ),
        snapshot=snapshot,
        decoder=decoder,
        live=LiveCache(),
        switch=header.get("switch", CARRY),
    )


def _tabled_blocks(header: Mapping[str, Any], reading: Reading) -> tuple[list[_Row], _Latents]:
    """What a file of version 4 says of each block, and the latents of all."""
    if not header["blocks"]:
        return [], iter(())
    tables = reading.tables(header)
    names = [name for name in header["tensors"] if name.startswith("context.")]
    contexts = split_contexts(header, tables, {name: reading.tensor(name) for name in names})
    rows = [
        (key, contexts[number], switch)
        for key, number, switch in zip(tables.ids, tables.contexts, tables.switches, strict=True)
    ]
    chunks = sum(name.startswith("latents.") for name in header["tensors"])
    return rows, chain.from_iterable(reading.rows(f"latents.{n}") for n in range(chunks))


def _listed_blocks(
    blocks: Sequence[Mapping[str, Any]], reading: Reading
) -> tuple[list[_Row], _Latents]:
    """The same of the versions before, converted where they kept other dtypes than streams have."""
    names = dict.fromkeys(block["context"] for block in blocks)
    contexts = {name: reading.tensor(name) for name in names}
    for name, context in contexts.items():
        contexts[name] = context if context.is_floating_point() else context.float()
    rows = [
        (block["key"], contexts[block["context"]], block.get("switch", CARRY)) for block in blocks
    ]
    return rows, (reading.tensor(f"latents.{n}").float() for n in range(len(blocks)))


def _decoder(written: Mapping[str, Any] | int | None, reading: Reading) -> DecoderMemory | None:
    """What a file says of its decoder; versions before 3 did not say whose tensors they held."""
    count = written["tensors"] if isinstance(written, Mapping) else written or 0
    past = tuple(reading.tensor(f"decoder.{index}") for index in range(count))
    if not isinstance(written, Mapping):
        return None
    return DecoderMemory(written["name"], written["blocks"], past)
