"""What kind of file it is, from its first bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

from .errors import CheckpointError


def kind_of(path: Path) -> str:
    """`zip`, `pickle` or `safetensors`, from the first bytes; anything else is refused."""
    if not path.is_file():  # opening a FIFO would wait for its writer
        raise CheckpointError(f"{path} is a pipe or a device, not a file; choose a model file")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise CheckpointError(f"{path} is empty (0 bytes); download it again")
    # First, because the length of a safetensors header may read like any other beginning.
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(b"PK\x03\x04"):
        if zipfile.is_zipfile(path):
            return "zip"
        raise CheckpointError(
            f"{path} is truncated: it begins like a .pt file but its end is missing after "
            f"{path.stat().st_size:,} bytes; download it again"
        )
    if head.startswith(b"GGUF"):
        raise CheckpointError(
            f"{path} is a GGUF file; open it with the GGUF loader node and use its MODEL, or "
            "take the safetensors version here"
        )
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is a Git LFS pointer of {path.stat().st_size} bytes, not the model; "
            "fetch the real file with git lfs pull"
        )
    if head.lstrip()[:1] == b"<":
        raise CheckpointError(
            f"{path} is a web page, not a model; download the file itself instead of its page"
        )
    if head.startswith(b"\x80"):
        return "pickle"
    return "safetensors"
