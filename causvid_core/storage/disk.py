"""Tensors moved out of memory: written to files once and mapped back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .safetensors_file import raw_bytes

SEGMENT_BYTES = 64 * 2**20
"""What is moved at a time: large enough that a day of video takes few files and mappings."""


class DiskStore:
    """Moves tensors into files of `folder`, which the caller owns.

    A file is unlinked as soon as it is mapped, so that its room is free again when the last tensor
    in it goes, however the program ends. Where a mapped file cannot be unlinked (Windows) it
    stays until the folder's owner clears it, once nothing uses its tensors.
    """

    def __init__(self, folder: str | os.PathLike[str], segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder, self.segment_bytes = Path(folder), segment_bytes

    def is_worth_it(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these fill a file."""
        return sum(tensor.nbytes for tensor in tensors) >= self.segment_bytes

    def move(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The same values as tensors that lie on the disk until they are read.

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
                f"finished latents cannot be kept in {self.folder} ({error}); make room there"
            ) from error
        finally:
            _unlink(path)
        moved, start = [], 0
        for tensor in tensors:
            part = mapped[start : start + tensor.nbytes]
            moved.append(part.view(tensor.dtype).view(tensor.shape))
            start += tensor.nbytes
        return moved


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # it is mapped, on Windows
        pass
