"""Training data in safetensors shards that can be extended, resumed and trusted.

A folder holds shards of a few samples each. A sample has a key, a prompt and tensors; every key is
in the folder once. A shard names its samples and holds a checksum of every tensor, so that reading
a sample finds damage; nothing is pickled. Samples are in the order of the files' names, then in
that of the file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from torch import Tensor

from .reserve import reserve_first
from .shard_file import KINDS, SUFFIX, Sample, Shard, ShardError, finite, read_shard, write_shard

__all__ = ["Sample", "ShardError", "ShardSet", "ShardWriter"]

log = logging.getLogger("causvid")


class ShardWriter:
    """Adds samples to a folder; as a context manager it writes the last shard at the end.

    kind: one of `KINDS`. settings: plain values that all samples of the folder share, such as the
    timesteps of their states. part: a different number for each process that writes at the same
    time. A killed run loses less than one shard; `key in writer` says what the folder holds. Raises
    ValueError for a folder of another kind or other settings, ShardError for a damaged shard.
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

    def __exit__(self, *exception: object) -> None:
        self.flush()

    def __len__(self) -> int:
        """Samples in the folder and waiting."""
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        """Whether a sample with this key is in the folder, or waits to be written."""
        return key in self._keys

    def add(self, key: str, prompt: str, tensors: Mapping[str, Tensor], source: str = "") -> bool:
        """Add a sample and return True, or return False if its key is known; write full shards.

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
        """Write the waiting samples as a shard, if there are any."""
        if not self._waiting:
            return
        taken = [int(path.stem.split("-")[1]) for path in self._folder.glob(f"{self._part:03d}-*")]
        numbers = count(max(taken, default=-1) + 1)
        paths = (self._folder / f"{self._part:03d}-{number:06d}{SUFFIX}" for number in numbers)
        with reserve_first(paths) as held:
            write_shard(held.path, self._kind, self._settings, self._waiting)
        self._waiting.clear()


class ShardSet(Sequence[Sample]):
    """The samples of a folder, or of several, in order; each is checked whenever it is read.

    Opening reads headers only. `set[i]` raises ShardError when its shard has been damaged since
    it was written. skip_damaged: read everything once at opening, leave out what is damaged and
    log it, so that all processes agree on the order. `damaged` names those shards. Of samples that
    several folders have, the first one counts. Raises FileNotFoundError for no shards, ValueError
    for another kind or mixed settings.
    """

    def __init__(self, *folders: Path, kind: str, skip_damaged: bool = False) -> None:
        self.kind = _checked(kind)
        damaged: list[Path] = []
        self.settings: dict[str, Any] = {}
        self._places: list[tuple[Shard, int]] = []
        skipped = damaged if skip_damaged else None
        shards = [shard for folder in folders for shard in _read_folder(folder, kind, skipped)]
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

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]  # no slices
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


def _read_folder(folder: Path, kind: str, damaged: list[Path] | None = None) -> list[Shard]:
    """Headers of a folder's shards in order.

    damaged: read every sample, leave damaged shards out and append them here. Without it a damaged
    header raises ShardError.
    """
    shards = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            shard = read_shard(path, kind)
            for number in range(0 if damaged is None else len(shard.rows)):
                shard.read(number)
        except ShardError as error:
            if damaged is None:
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
