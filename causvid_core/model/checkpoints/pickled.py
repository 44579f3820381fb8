"""Files of `torch.save`, opened without running anything, within bounds of time and memory."""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from .errors import CheckpointError

_HARMLESS = ("torch", "collections")
_MOST_PICKLED = 16 * 2**20
"""Bytes; 14B's take half a megabyte."""
_MOST_PARTS = 100_000
_MAX_PICKLES = 8
"""The old format of `torch.save` is a handful of pickles in a row, then raw data."""


def foreign_object(path: Path, kind: str) -> str | None:
    """The first `module.name` outside PyTorch that a `zip` or `pickle` would import, if any."""
    if kind == "zip":
        try:
            with zipfile.ZipFile(path) as archive:
                name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                return _first_foreign(io.BytesIO(archive.read(name)))
        except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError, EOFError):
            return None  # it is damaged
    with path.open("rb") as file:
        return _first_foreign(file)


def _first_foreign(stream: BinaryIO) -> str | None:
    strings: list[str] = []
    for _ in range(_MAX_PICKLES):
        try:
            for code, argument, _ in pickletools.genops(stream):
                if isinstance(argument, str):
                    strings.append(argument)
                if code.name == "GLOBAL":
                    name = str(argument).replace(" ", ".")
                elif code.name == "STACK_GLOBAL" and len(strings) > 1:
                    name = ".".join(strings[-2:])
                else:
                    continue
                if name.partition(".")[0] not in _HARMLESS:
                    return name
        except Exception:  # the end of the pickles, or damage
            return None
    return None


def load_pickled(path: Path, kind: str) -> Any:
    if kind == "zip":
        try:
            with zipfile.ZipFile(path) as archive:
                parts = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
            raise CheckpointError(
                f"{path} is a damaged archive ({error}); download it again"
            ) from error
        pickled = sum(part.file_size for part in parts if part.filename.endswith(".pkl"))
        if pickled > _MOST_PICKLED or len(parts) > _MOST_PARTS:
            raise CheckpointError(
                f"{path} has {len(parts):,} parts and {pickled:,} bytes of pickles, more than any "
                "checkpoint needs; ask its author for a safetensors file"
            )
        names = [part.filename for part in parts]
        unpacked = sum(part.file_size for part in parts)
        # torch.save never compresses, so its parts are no larger than the file.
        size = path.stat().st_size
        if unpacked > size or any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise CheckpointError(
                f"{path} is a compressed archive ({size:,} bytes that become {unpacked:,}), which "
                "PyTorch never writes; download the original, or a safetensors file"
            )
        if any(name.endswith("/constants.pkl") for name in names):
            raise CheckpointError(
                f"{path} is a TorchScript program, which contains code; it is refused"
            )
        if not any(name.endswith("data.pkl") for name in names):
            raise CheckpointError(
                f"{path} is a zip archive without a PyTorch checkpoint in it; unpack it first"
            )
    # Under the name .safetensors torch.load would take the file for one, so it gets a stream.
    mapped = kind == "zip" and path.suffix != ".safetensors"
    try:
        with path.open("rb") as file:
            return torch.load(
                str(path) if mapped else file, map_location="cpu", weights_only=True, mmap=mapped
            )
    except Exception as error:  # the unpickler meets garbage with any exception there is
        name = foreign_object(path, kind)
        if name is None:
            raise CheckpointError(
                f"{path} is damaged or truncated ({path.stat().st_size:,} bytes can be found); "
                "download it again"
            ) from error
        raise CheckpointError(
            f"{path} contains code or Python objects ({name}) that would run on loading, so it is "
            "refused; ask its author for a safetensors file"
        ) from error
