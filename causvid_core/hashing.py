"""Hashes of contents: equal contents, equal hash, on every machine and in every version."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_READ_BYTES = 1 << 22


def content_hash(*parts: Any) -> str:
    """32 hexadecimal digits for str, bytes, int, float, None, tensors and (nested) tuples of them.

    Types count, and the dtype and shape of tensors. The digits are kept in files, as the keys of
    training samples, so they never change. Raises TypeError for a part of another type.
    """
    digest = hashlib.sha256()
    for part in parts:
        raw = _raw(part)
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _raw(part: Any) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, Tensor):
        values = part.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
        return f"{part.dtype}{tuple(part.shape)}".encode() + values.tobytes()
    if isinstance(part, tuple):
        return f"{type(part).__name__}:{content_hash(*part)}".encode()
    if part is None or isinstance(part, (str, int, float)):
        return f"{type(part).__name__}:{part}".encode()
    raise TypeError(f"{type(part).__name__} has no content hash")
