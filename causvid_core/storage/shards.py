"""Training data as sharded safetensors files that can be written on, resumed and trusted.

A folder holds shards of a few samples each. A sample has a key, a prompt and tensors; every key is
in the folder once. A shard names its samples and has a checksum of every tensor, so that damage is
found whenever a sample is read; nothing is pickled. The order is that of the files' names and of
the samples in them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from .shard_file import KINDS, SUFFIX, Sample, Shard, ShardError, finite, read_shard, write_shard

__all__ = ["Sample", "ShardError", "ShardSet", "ShardWriter"]

log = logging.getLogger("causvid")


class ShardWriter:
    """Adds samples to a folder; a context manager, which writes what is left when it ends.

    kind: one of `KINDS`. settings: plain values that all samples of the folder share, such as the
    timesteps of their states. part: a number of its own for each process that writes at once. A
    shard appears under its name when it is whole; a killed run loses less than one shard, and what
    is in the folder is in the writer (`key in writer`). Raises ValueError for a folder of another
    kind or other settings, ShardError for one with a damaged shard.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        settings: Mapping[str, Any] | None = None,
        shard_size: int = 64,
        part: int = 0,
    ) -> None:
        if shard_size < 1:
            raise ValueError(f"a shard of {shard_size} samples is empty; it needs at least 1")
        folder.mkdir(parents=True, exist_ok=True)
        # As it will be read: a tuple becomes a list.
        self._settings = json.loads(json.dumps(dict(settings or {})))
        self._folder, self._kind, self._size, self._part = folder, _checked(kind), shard_size, part
        self._keys: set[str] = set()
        self._waiting: list[Sample] = []
        for shard in _read_folder(folder, kind):
            if shard.settings != self._settings:
                raise ValueError(
                    f"{folder} holds {kind} made with {shard.settings}, not {self._settings}; "
                    "choose an empty folder"
                )
            self._keys.update(row.key for row in shard.rows)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()

    def __len__(self) -> int:
        """Samples in the folder and waiting."""
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        """Whether a sample with this key is in the folder, or waits to be written."""
        return key in self._keys

    def add(self, key: str, prompt: str, tensors: Mapping[str, Tensor], source: str = "") -> bool:
        """Take a sample in, unless its key is known: then False. Writes a shard when it is full.

        source: where it comes from, for people. Raises ValueError for values that are not finite.
        """
        if key in self._keys:
            return False
        for name, tensor in tensors.items():
            if not finite(tensor):
                raise ValueError(f"the {name} of {source or prompt!r} are not finite")
        kept = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        self._keys.add(key)
        self._waiting.append(Sample(key, prompt, kept, source))
        if len(self._waiting) >= self._size:
            self.flush()
        return True

    def flush(self) -> None:
        """Write what waits as a shard, if anything does."""
        if not self._waiting:
            return
        write_shard(self._free_path(), self._kind, self._settings, self._waiting)
        self._waiting.clear()

    def _free_path(self) -> Path:
        taken = [int(path.stem.split("-")[1]) for path in self._folder.glob(f"{self._part:03d}-*")]
        return self._folder / f"{self._part:03d}-{max(taken, default=-1) + 1:06d}{SUFFIX}"


class ShardSet(Sequence):
    """The samples of a folder, or of several, in order; each is checked whenever it is read.

    Opening reads headers only. `set[i]` raises ShardError when its shard has been damaged since
    it was written. skip_damaged: read everything once at opening, leave out what is damaged and
    log it, so that all processes agree on the order. `damaged` names those shards. Of samples that
    several folders have, the first one counts. Raises FileNotFoundError for no shards, ValueError
    for another kind or mixed settings.
    """

    def __init__(self, *folders: Path, kind: str, skip_damaged: bool = False) -> None:
        self.kind, damaged = _checked(kind), []
        self.settings: dict[str, Any] = {}
        self._places: list[tuple[Shard, int]] = []
        shards = [s for f in folders for s in _read_folder(f, kind, damaged, skip_damaged)]
        if not shards:
            names = ", ".join(str(folder) for folder in folders)
            raise FileNotFoundError(f"{names} holds no {kind} that can be read; make them first")
        self.settings, seen = shards[0].settings, set()
        for shard in shards:
            if shard.settings != self.settings:
                raise ValueError(
                    f"{shard.path} holds {kind} made with {shard.settings}, other shards with "
                    f"{self.settings}; train on one of them"
                )
            for number, row in enumerate(shard.rows):
                if row.key not in seen:
                    seen.add(row.key)
                    self._places.append((shard, number))
        self.damaged = tuple(damaged)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        shard, number = self._places[index]
        return shard.read(number)

    @property
    def keys(self) -> list[str]:
        """The key of every sample."""
        return [shard.rows[number].key for shard, number in self._places]

    @property
    def prompts(self) -> list[str]:
        """The prompt of every sample."""
        return [shard.rows[number].prompt for shard, number in self._places]

    def shape(self, index: int, name: str) -> tuple[int, ...]:
        """Shape of a sample's tensor, from the header."""
        shard, number = self._places[index]
        return shard.entry(number, name).shape


def _read_folder(
    folder: Path, kind: str, damaged: list[Path] | None = None, skip: bool = False
) -> list[Shard]:
    """Headers of a folder's shards in order; those left out are added to `damaged`."""
    shards = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            shard = read_shard(path, kind)
            for number in range(len(shard.rows) if skip else 0):
                shard.read(number)
        except ShardError as error:
            if not skip:
                raise
            log.warning("leaving out %s", error)
            damaged.append(path)
            continue
        shards.append(shard)
    return shards


def _checked(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"there are no shards of {kind!r}; there are {', '.join(KINDS)}")
    return kind
