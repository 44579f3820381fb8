"""Noise that depends on seed, block and step alone.

Drawn on the CPU from a generator of its own, so that it is the same on every device, however a
stream is cut into nodes, and whatever the global generator did. Every batch element has a
generator of its own: the first of a batch equals a batch of one with the same seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Noise = Callable[[int, int, Sequence[int]], Tensor]
"""noise(block_index, step_index, shape) -> Tensor; step 0 is the block's initial noise."""


def seeded_noise(seed: int) -> Noise:
    """The default noise of a stream: standard normal float32 on the CPU."""

    def draw(block: int, step: int, shape: Sequence[int]) -> Tensor:
        batch, *rest = shape
        out = torch.empty(tuple(shape))
        for element in range(batch):
            generator = torch.Generator().manual_seed(_hash(seed, block, step, element))
            torch.randn(rest, generator=generator, out=out[element])
        return out

    return draw


def _hash(*values: int) -> int:
    text = ":".join(str(value) for value in values)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
