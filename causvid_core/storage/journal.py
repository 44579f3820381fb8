"""Checkpoints of a stream, appended to one file: each costs what its new blocks cost.

A file is a row of records (see `records`). The first names the stream, each further one holds
blocks. What a killed process left at the end is no whole record: it is ignored and overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import tee
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ..hashing import content_hash
from ..stream.bounds import whole
from ..stream.segment import CARRY, checked_switch
from ..stream.state import DecoderMemory, StreamBlock, StreamState
from .atomic import replacing
from .disk import DiskStore, stored
from .journal_cache import CacheBeside
from .journal_words import check_names, in_words, names_of, record, values_of
from .records import contents, places, window
from .safetensors_file import read_header, read_tensor
from .stream_checks import dtype_name, is_context, latents_of, short_text

RECORD_BYTES = 32 * 2**20
"""Bytes of latents after which another record is begun: what reading one takes in memory."""
RECORD_BLOCKS = 1024


class StreamJournal:
    """Writes the blocks that a stream gains after `begun` to a file.

    A file of the same stream is continued: `append` adds what a state has beyond it. Raises
    ValueError for a file of another stream or a damaged one, OSError when it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], begun: StreamState) -> None:
        self.path = Path(path)
        if not self.path.exists():
            with replacing(self.path) as partial, partial.open("xb") as file:
                file.writelines(record({}, names_of(begun)))
        self._cache = CacheBeside(self.path)
        self._begun = begun
        self._interrupted: bool
        self._contexts: dict[str, int]
        self._newest: tuple[Tensor, int] | None
        self._file = self.path.open("r+b")
        try:
            self._continue()
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
        if self._interrupted:
            self._continue()
        known = state.history[self._blocks - 1].id if 0 < self._blocks <= state.blocks else None
        if state.blocks < self._blocks or known != self._last:
            raise ValueError(
                f"this state of {state.blocks} blocks does not continue the {self._blocks} in "
                f"{self.path.name}"
            )
        self._interrupted = True  # by whatever may come, such as Ctrl-C: then the file is read
        try:
            while self._blocks < state.blocks:
                self._append(state)
            self._cache.keep(state)
        except OSError as error:
            # What is not known to be on the disk is not taken from the file, but written again.
            self._newest, self._interrupted = None, False
            raise OSError(
                f"the checkpoint cannot be written to {self.path} ({error}); free some space there"
            ) from error
        self._interrupted = False

    def close(self) -> None:
        """Close the file; what was appended stays."""
        with suppress(OSError):  # what could not be flushed was not promised
            self._file.close()

    def _continue(self) -> None:
        """Find the end of what is written, reading no latents but the last."""
        self._end, self._blocks = 0, self._begun.blocks
        self._last = self._begun.history[-1].id if self._blocks else None
        self._contexts, self._newest = {}, None
        with in_words(self.path):
            for place in places(self._file):
                values = values_of(read_header(window(self._file, place))[1])
                if not self._end:
                    check_names(values, self._begun)
                else:
                    self._contexts |= {digest: int(n) for n, digest in values["new"].items()}
                    self._blocks += len(values["ids"])
                    self._last = values["ids"][-1]
                self._end = place.end
            if not self._end:
                raise ValueError("holds no checkpoints of a stream")
        self._interrupted = False

    def _append(self, state: StreamState) -> None:
        """Write the next record. Mutates what is known to be written once it is on the disk."""
        blocks = list(_next_blocks(state, self._blocks))
        tensors = {"latents": torch.stack([block.latents for block in blocks])}
        numbers: list[int] = []
        new: dict[str, int] = {}
        for block in blocks:
            if self._newest is None or self._newest[0] is not block.context:
                digest = content_hash(block.context)
                number = self._contexts.get(digest, new.get(digest))
                if number is None:
                    number = new[digest] = len(self._contexts) + len(new)
                    tensors[f"context.{number}"] = block.context
                self._newest = (block.context, number)
            numbers.append(self._newest[1])
        complete = self._blocks + len(blocks) == state.blocks
        decoder = state.decoder if complete else None
        values = {
            "ids": [block.id for block in blocks],
            "switches": [block.switch for block in blocks],
            "contexts": numbers,
            "new": {str(number): digest for digest, number in new.items()},
            "switch": state.switch if complete else CARRY,
            "decoder": decoder and [decoder.name, decoder.blocks],
        }
        self._file.seek(self._end)
        self._file.truncate()
        self._file.writelines(record(tensors, values))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._end = self._file.tell()
        self._contexts |= new
        self._blocks += len(blocks)
        self._last = blocks[-1].id


def load_journal(
    path: str | os.PathLike[str],
    begun: StreamState,
    store: DiskStore | None = None,
    *,
    cached: bool = False,
) -> StreamState | None:
    """`begun` with the blocks that a `StreamJournal` wrote after it; None when there is no file.

    The state has the keys and values of its last block if they were kept. store: keeps its latents
    on disk instead of in memory. cached: only as many blocks as have keys and values. Raises
    ValueError for a file of another stream or one that is damaged before its end, OSError when it
    cannot be read.
    """
    path = Path(path)
    if not path.exists():
        return None
    last: dict[str, Any] = {}
    with path.open("rb") as file, in_words(path):
        blocks = list(_moved(_read_blocks(file, begun, last), store))
        history = (*begun.history, *blocks)
        if len({block.id for block in history}) != len(history):
            raise ValueError("is damaged: it has a block twice")
        if not blocks:
            return begun
        switch, decoder = checked_switch(last["switch"]), last["decoder"]
        if decoder is not None:
            name, done = decoder
            short_text("decoder's name", name)
            decoder = DecoderMemory(name, whole("blocks that are decoded", done, 1, len(history)))
    state = begun.uncached()._replace(history=history, switch=switch, decoder=decoder)
    beside = CacheBeside(path)
    state = state._replace(snapshot=beside.kept(state))
    if not cached or state.snapshot is not None:
        return state
    for count in beside.blocks:  # a kill came between the blocks and their keys and values
        if begun.blocks < count < state.blocks and count in last["switches"]:
            switch = checked_switch(last["switches"][count])
            fewer = state._replace(history=history[:count], switch=switch, decoder=None)
            if (snapshot := beside.kept(fewer)) is not None:
                return fewer._replace(snapshot=snapshot)
    return begun


def _read_blocks(file: BinaryIO, begun: StreamState, last: dict[str, Any]) -> Iterator[StreamBlock]:
    """The blocks of a journal. Sets `last` to what its last record says besides.

    Its "switches" are those to come after each record's last block.
    """
    contexts: dict[int, Tensor] = {}
    switches: dict[int, str] = {}
    count = begun.blocks
    named = False
    for place in places(file):
        data = contents(file, place)
        entries, metadata = read_header(data)
        values = values_of(metadata)
        if not named:
            check_names(values, begun)
            named = True
            continue
        tensors = {name: read_tensor(data, entry) for name, entry in entries.items()}
        yield from _blocks(begun, count, values, tensors, contexts)
        count += len(values["ids"])
        switches[count] = values["switch"]
        last.update(values, switches=switches)
    if not named:
        raise ValueError("holds no checkpoints of a stream")


def _moved(blocks: Iterable[StreamBlock], store: DiskStore | None) -> Iterator[StreamBlock]:
    """The blocks, with latents in the store."""
    blocks, same = tee(blocks)
    for block, latents in zip(blocks, stored((each.latents for each in same), store), strict=True):
        yield block._replace(latents=latents)


def _next_blocks(state: StreamState, first: int) -> Iterator[StreamBlock]:
    """The blocks of the next record: of one shape, and no more than memory has room for."""
    begun, context, nbytes = state.history[first], None, 0
    for block in state.history[first : first + RECORD_BLOCKS]:
        nbytes += block.latents.nbytes + (block.context is not context) * block.context.nbytes
        full = block is not begun and nbytes > RECORD_BYTES
        if full or block.latents.shape != begun.latents.shape:
            return
        context = block.context
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
        if not is_context(dtype_name(context.dtype), context.shape, begun.batch):
            raise ValueError(f"context {number} is no prompt")
        contexts[int(number)] = context
    rows = zip(values["ids"], latents, values["contexts"], values["switches"], strict=True)
    for index, (key, own, number, switch) in enumerate(rows, first):
        short_text("block key", key)
        if (dtype_name(own.dtype), tuple(own.shape)) != latents_of(begun.policy, index, *size):
            raise ValueError(f"block {index} has latents of shape {tuple(own.shape)}")
        yield StreamBlock(key, own, contexts[number], checked_switch(switch))
