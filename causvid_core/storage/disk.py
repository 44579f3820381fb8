"""Tensors moved from memory to disk: written once and mapped back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .safetensors_file import raw_bytes

SEGMENT_BYTES = 64 * 2**20
"""Bytes that are moved at a time, so that a day of video takes few files and mappings."""


class DiskStore:
    """Moves tensors into files of `folder`, which the caller owns.

    A file is unlinked as soon as it is mapped: its space is freed with the last tensor in it,
    however the program ends. Where a mapped file cannot be unlinked (Windows), the owner of the
    folder removes it once nothing uses its tensors.
    """

    def __init__(self, folder: str | os.PathLike[str], segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder, self.segment_bytes = Path(folder), segment_bytes

    def is_worth_it(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these fill a file."""
        return sum(tensor.nbytes for tensor in tensors) >= self.segment_bytes

    def move(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The same values in tensors that stay on the disk until they are read.

        Writing to one changes it in memory, never in the file. Raises OSError when the file
        cannot be written, as when the disk is full.
        """
        path = self.folder / f"latents-{secrets.token_hex(8)}.bin"
        try:
            with path.open("xb") as file:
                for tensor in tensors:
                    file.write(raw_bytes(tensor.contiguous()))
            mapped = torch.from_numpy(np.memmap(path, np.uint8, "c"))
        except OSError as error:
            raise OSError(
                f"finished latents cannot be written to {self.folder} ({error}); free some "
                "space there"
            ) from error
        finally:
            with suppress(PermissionError):  # it is mapped, on Windows
                path.unlink(missing_ok=True)
        moved, start = [], 0
        for tensor in tensors:
            part = mapped[start : start + tensor.nbytes]
            moved.append(part.view(tensor.dtype).view(tensor.shape))
            start += tensor.nbytes
        return moved


def stored(tensors: Iterable[Tensor], store: DiskStore | None) -> Iterator[Tensor]:
    """The same tensors, moved to the store as soon as enough are there to fill a file of its own.

    Without a store they stay as they are.
    """
    waiting: list[Tensor] = []
    nbytes = 0
    for tensor in tensors:
        waiting.append(tensor)
        nbytes += tensor.nbytes
        if store is None or nbytes >= store.segment_bytes:
            yield from waiting if store is None else store.move(waiting)
            waiting, nbytes = [], 0
    yield from waiting
