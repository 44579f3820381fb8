"""What the records of a journal say besides tensors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..hashing import content_hash
from ..stream.state import StreamState
from .records import packed
from .safetensors_file import parse_json
from .stream_checks import PLAIN

FORMAT = "causvid-journal"
VERSION = 1


def names_of(begun: StreamState) -> dict[str, Any]:
    """What tells the stream that a journal belongs to."""
    last = begun.history[-1] if begun.history else None
    return {
        "recipe": begun.recipe.to_dict(),
        **{name: getattr(begun, name) for name in PLAIN},
        "blocks": begun.blocks,
        "switch": begun.switch,
        "last": last and [content_hash(last.latents), content_hash(last.context), last.switch],
    }


def check_names(values: dict[str, Any], begun: StreamState) -> None:
    for name, value in json.loads(json.dumps(names_of(begun))).items():
        if name not in values or values[name] != value:
            raise ValueError(f"holds checkpoints of another stream: its {name} differs")


def record(tensors: dict[str, Tensor], values: dict[str, Any]) -> list[bytes]:
    metadata = {"format": FORMAT, "version": str(VERSION), "values": json.dumps(values)}
    return packed(tensors, metadata)


def values_of(metadata: dict[str, str]) -> dict[str, Any]:
    """What a record says besides tensors."""
    version = metadata.get("version", "")
    if metadata.get("format") != FORMAT:
        raise ValueError("holds no checkpoints of a stream")
    if version != str(VERSION):
        raise ValueError(f"has checkpoints of version {version[:20]}; this one reads {VERSION}")
    values: dict[str, Any] = parse_json(metadata["values"])
    return values


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Errors of reading become ValueErrors that name the file."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path.name} {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"{path.name} is damaged: a checkpoint in it is none ({error})") from error
