"""Finished blocks on their way to the CPU and to the disk, without waiting for the device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..storage.disk import DiskStore
from .finite import NotFinite, is_finite
from .state import StreamBlock


class _Transfer(NamedTuple):
    block: StreamBlock
    done: torch.cuda.Event | None
    why: Callable[[], NotFinite]

    def has_arrived(self) -> bool:
        """Whether the latents are on the CPU; does not wait."""
        return self.done is None or bool(self.done.query())  # type: ignore[no-untyped-call]


class History:
    """Blocks of a stream, to which a rollout adds: each is begun, then added.

    On a GPU a block's latents are copied to pinned memory while the device works on; only `take`
    waits for a block that is still on its way. store: takes the latents of added blocks when they
    fill a file, so that memory does not grow with the stream. Other threads may `take` while the
    rollout adds. A block that arrives with NaN or infinity is never given out.
    """

    def __init__(
        self, blocks: tuple[StreamBlock, ...], device: torch.device, store: DiskStore | None = None
    ) -> None:
        self._settled = list(blocks)
        self._store = store
        self._in_memory = len(blocks)  # the first block that may be moved to the store
        self._transfers: list[_Transfer] = []
        self._device = device
        self._begun: StreamBlock | None = None
        self._lock = threading.RLock()  # of the lists, while blocks move from one to the other
        self._near: dict[int, Tensor] = {}  # latents on the GPU of the newest blocks

    def __len__(self) -> int:
        with self._lock:
            return len(self._settled) + len(self._transfers)

    def begin(self, context: Tensor, switch: str) -> None:
        """Draw the id of the next block, whose latents are to come."""
        self._begun = StreamBlock.new(torch.empty(0), context, switch)

    def add(self, latents: Tensor, why: Callable[[], NotFinite]) -> None:
        """Append the block that was begun, with latents on the device.

        why: makes the error when they turn out not to be finite. Raises it for this block or an
        earlier one, whichever has arrived by now.
        """
        begun, done = self._entry(len(self)), None
        if latents.device.type == "cuda":
            # Kept for clean passes; a copy, since the caller owns the latents it is given.
            self._near[len(self)] = latents.clone()
            host = torch.empty(latents.shape, dtype=latents.dtype, pin_memory=True)
            host.copy_(latents, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(torch.cuda.current_stream(latents.device))
        else:
            host = latents.to("cpu", copy=True)
        with self._lock:
            self._transfers.append(_Transfer(begun._replace(latents=host), done, why))
            self._begun = None
            newest = len(self) - 1
            while self._transfers and self._transfers[0].has_arrived():
                self._settle()
        for block in [block for block in self._near if block < min(newest, len(self._settled))]:
            del self._near[block]

    def take(self, count: int) -> tuple[StreamBlock, ...]:
        """The first `count` blocks, once they have arrived. NotFinite when one is not finite."""
        with self._lock:
            while len(self._settled) < count:
                self._settle()
            return tuple(self._settled[:count])

    def id(self, block: int) -> str:
        """Id of a block that was begun or added."""
        return self._entry(block).id

    def context(self, block: int) -> Tensor:
        """Context of a block that was begun or added."""
        return self._entry(block).context

    def latents(self, block: int) -> Tensor:
        """Latents of a block on the device; does not wait."""
        if block in self._near:
            return self._near[block]
        latents = self._settled[block].latents
        if self._device.type == "cuda":
            latents = latents.pin_memory()
        return latents.to(self._device, non_blocking=True)

    def _entry(self, block: int) -> StreamBlock:
        with self._lock:
            if block < len(self._settled):
                return self._settled[block]
            if block < len(self):
                return self._transfers[block - len(self._settled)].block
        if self._begun is None:
            raise RuntimeError(f"block {block} was not begun")
        return self._begun

    def _settle(self) -> None:
        block, done, why = self._transfers[0]
        if done is not None:
            done.synchronize()
        # On the CPU, where nothing waits for it; a block that fails stays in its place.
        if not is_finite(block.latents):
            raise why()
        del self._transfers[0]
        if done is not None:
            # Pinned memory is scarce; the copy frees it for the next block.
            block = block._replace(latents=block.latents.clone())
        self._settled.append(block)
        blocks = self._settled[self._in_memory :]
        latents = [block.latents for block in blocks]
        if self._store is not None and self._store.is_worth_it(latents):
            self._settled[self._in_memory :] = [
                block._replace(latents=moved)
                for block, moved in zip(blocks, self._store.move(latents), strict=True)
            ]
            self._in_memory = len(self._settled)
