"""Tensors that are described now and read later.

Renaming, splitting, dequantising and merging work on descriptions, so that a file is judged
before memory is taken, and converting one needs the memory of its largest tensor only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LazyTensor:
    """Shape and dtype of a stored tensor, and how to read it.

    `load` may return a view of a mapped file or of somebody's tensor: treat it as read-only.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], Tensor]

    @classmethod
    def of(cls, tensor: Tensor) -> LazyTensor:
        """Describe a tensor that is already in memory (or mapped)."""
        return cls(tuple(tensor.shape), tensor.dtype, lambda: tensor)

    def part(self, index: int, parts: int) -> LazyTensor:
        """The `index`-th of `parts` equal slices of the first axis."""
        rows = self.shape[0] // parts
        start = index * rows
        return LazyTensor(
            (rows, *self.shape[1:]), self.dtype, lambda: self.load()[start : start + rows]
        )


LazyDict = dict[str, LazyTensor]


def lazily(tensors: Mapping[str, Tensor | LazyTensor]) -> LazyDict:
    """A dict of descriptions, whichever of the two the values were."""
    return {
        name: value if isinstance(value, LazyTensor) else LazyTensor.of(value)
        for name, value in tensors.items()
    }
