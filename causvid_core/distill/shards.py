"""Training data as sharded safetensors files that can be written on, resumed and trusted.

A folder holds shards of a few samples each. A sample has a key, a prompt and tensors; every key is
in the folder once. A shard names its samples and has a checksum of every tensor, so that damage is
found whenever a sample is read; nothing is pickled. The order is that of the files' names and of
the samples in them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..stream.container import Entry, parse_json, raw_bytes, read_header, read_tensor, write

log = logging.getLogger("causvid")

FORMAT = "causvid-stream training data"
VERSION = 1
KINDS = ("clips", "ode-pairs", "texts")


class ShardError(ValueError):
    """A shard that cannot be trusted: `path` names it, the message says what is wrong."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the shard {path} is damaged: {reason}; delete it and make its samples again, or "
            "train without it"
        )
        self.path = path


class Sample(NamedTuple):
    """A sample as it was added: tensors without a batch axis, by name."""

    key: str
    prompt: str
    tensors: dict[str, Tensor]
    source: str = ""


def content_key(*parts: str | int | float | bytes | Tensor) -> str:
    """A short name of what a sample is made from: equal parts, equal key."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            part = f"{part.dtype}{tuple(part.shape)}".encode() + bytes(raw_bytes(part.cpu()))
        raw = part if isinstance(part, bytes) else f"{type(part).__name__}:{part}".encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:32]


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
        raise NotImplementedError

    def __contains__(self, key: str) -> bool:
        """Whether a sample with this key is in the folder, or waits to be written."""
        raise NotImplementedError

    def add(self, key: str, prompt: str, tensors: Mapping[str, Tensor], source: str = "") -> bool:
        """Take a sample in, unless its key is known: then False. Writes a shard when it is full.

        source: where it comes from, for people. Raises ValueError for values that are not finite.
        """
        raise NotImplementedError

    def flush(self) -> None:
        """Write what waits as a shard, if anything does."""
        raise NotImplementedError


class ShardSet(Sequence):
    """The samples of a folder, or of several, in order; each is checked whenever it is read.

    Opening reads headers only. `set[i]` raises ShardError when its shard has been damaged since
    it was written. skip_damaged: read everything once at opening, leave out what is damaged and
    log it, so that all processes agree on the order. `damaged` names those shards. Raises
    FileNotFoundError for no shards, ValueError for another kind or mixed settings.
    """

    kind: str
    settings: dict[str, Any]
    damaged: tuple[Path, ...]

    def __init__(self, *folders: Path, kind: str, skip_damaged: bool = False) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError

    @property
    def keys(self) -> list[str]:
        """The key of every sample."""
        raise NotImplementedError

    @property
    def prompts(self) -> list[str]:
        """The prompt of every sample."""
        raise NotImplementedError

    def shape(self, index: int, name: str) -> tuple[int, ...]:
        """Shape of a sample's tensor, from the header."""
        raise NotImplementedError


_USED = (json, zlib, TracebackType, torch, Entry, parse_json, read_header, read_tensor, write)
