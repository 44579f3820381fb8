"""Finished blocks on their way to the CPU, without waiting for the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .state import StreamBlock


class _Transfer(NamedTuple):
    block: StreamBlock
    done: torch.cuda.Event | None


class History:
    """Blocks of a stream as a rollout adds to them.

    On a GPU a block's latents are copied to pinned memory behind the running work; only asking
    for a block that is still on its way waits.
    """

    def __init__(self, blocks: tuple[StreamBlock, ...], device: torch.device) -> None:
        self._settled = list(blocks)
        self._transfers: list[_Transfer] = []
        self._device = device
        self._newest: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self._settled) + len(self._transfers)

    def add(self, latents: Tensor, context: Tensor) -> None:
        """Append a finished block with latents on the device."""
        done = None
        if latents.device.type == "cuda":
            # Kept for the clean pass; a copy, since the caller owns the latents it is given.
            self._newest = (len(self), latents.clone())
            host = torch.empty(latents.shape, dtype=latents.dtype, pin_memory=True)
            host.copy_(latents, non_blocking=True)
            done = torch.cuda.Event()
            done.record(torch.cuda.current_stream(latents.device))
        else:
            host = latents.to("cpu", copy=True)
        self._transfers.append(_Transfer(StreamBlock.new(host, context), done))
        while self._transfers and (done is None or self._transfers[0].done.query()):
            self._settle()

    def take(self, count: int) -> tuple[StreamBlock, ...]:
        """The first `count` blocks, once they have arrived."""
        while len(self._settled) < count:
            self._settle()
        return tuple(self._settled[:count])

    def block(self, index: int) -> tuple[str, Tensor, Tensor]:
        """Key, latents on the device and context of a block; does not wait."""
        if self._newest is not None and self._newest[0] == index:
            entry = self._transfers[-1].block if self._transfers else self._settled[index]
            return entry.key, self._newest[1], entry.context
        (entry,) = self.take(index + 1)[index:]
        return entry.key, entry.latents.to(self._device, non_blocking=True), entry.context

    def _settle(self) -> None:
        block, done = self._transfers.pop(0)
        if done is not None:
            done.synchronize()
            # Pinned memory is scarce; the copy frees it for the next block.
            block = block._replace(latents=block.latents.clone())
        self._settled.append(block)
