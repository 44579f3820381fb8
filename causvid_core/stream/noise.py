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


def generator(*seeds: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose seed is a hash of whole numbers: other numbers, other random numbers.

    Streams seed theirs with (seed, block, step, batch element).
    """
    text = ":".join(str(seed) for seed in seeds)
    hashed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
    return torch.Generator(device).manual_seed(hashed)


def seeded_noise(seed: int) -> Noise:
    """The default noise of a stream: standard normal float32 on the CPU."""

    def draw(block: int, step: int, shape: Sequence[int]) -> Tensor:
        batch, *rest = shape
        out = torch.empty(tuple(shape))
        for element in range(batch):
            torch.randn(rest, generator=generator(seed, block, step, element), out=out[element])
        return out

    return draw


def add_noise(clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Flow matching's noisy latents at noise level `sigma`: (1 - sigma) * clean + sigma * noise."""
    return (1 - sigma) * clean + sigma * noise
