"""What a step draws: which samples, and the random numbers of each, whoever computes them.

All of it follows from the seed, the number of the step and a sample's place in its batch. So
neither the number of processes nor a stop in between changes what a run learns from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...stream.noise import generator


def samples_of(step: int, batch: int, length: int, seed: int) -> list[int]:
    """The numbers of the samples of a step's batch; every epoch has an order of its own."""
    chosen: list[int] = []
    orders: dict[int, Tensor] = {}
    for place in range(step * batch, (step + 1) * batch):
        epoch, at = divmod(place, length)
        if epoch not in orders:
            orders[epoch] = torch.randperm(length, generator=generator(seed, "order", epoch))
        chosen.append(int(orders[epoch][at]))
    return chosen


class Draws:
    """The random numbers of some samples of a step, each from a generator of its own."""

    def __init__(self, seed: int, step: int, purpose: str, places: Sequence[int]) -> None:
        self._generators = [generator(seed, step, purpose, place) for place in places]

    def __len__(self) -> int:
        return len(self._generators)

    def each(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """`draw` for each sample, which gives [1, ...], concatenated to [B, ...]."""
        return torch.cat([draw(own) for own in self._generators])

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32 [B, *shape]."""
        return self.each(lambda own: torch.randn(1, *shape, generator=own))

    def noise(self, block: int, step: int, shape: Sequence[int]) -> Tensor:
        """The noise of a rollout, for `self_rollout`; call it in the order of the steps."""
        return self.normal(*shape[1:])
