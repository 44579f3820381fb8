"""Decoding one block while the next is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from .decoding import StreamDecoder


class BackgroundDecoder:
    """A decoder that works on a CUDA stream of its own; elsewhere it decodes at once.

    `push` returns as soon as the work is queued: the device decodes while the caller queues the
    next block, and copies the px frames to pinned memory by itself. `pop` never waits for the
    device, `flush` does. The decoder belongs to this object meanwhile.
    after: what becomes of px frames [B, 3, t, H, W] on the device, such as fewer bits, before
    they are copied.
    """

    def __init__(
        self,
        decoder: StreamDecoder,
        device: torch.device | str,
        after: Callable[[Tensor], Tensor] = lambda px: px,
    ) -> None:
        self.decoder = decoder
        self._after = after
        self._device = torch.device(device)
        self._own = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        self._ready: deque[tuple[Tensor, torch.cuda.Event | None]] = deque()

    def push(self, latents: Tensor) -> None:
        """Decode these latents [B, 16, T, h, w] after those before; they may be changed then."""
        self.decoder.push(latents)
        with self._beside():
            while (px := self.decoder.pop()) is not None:
                self._ready.append(self._copied(self._after(px)))

    def reset(self) -> None:
        """Begin a new stream; px frames that are on their way still come."""
        self.decoder.reset()

    def pop(self) -> Tensor | None:
        """The next px frames on the CPU, a latent frame's; None while none have arrived."""
        if not self._ready:
            return None
        px, arrival = self._ready[0]
        if arrival is not None and not arrival.query():
            return None
        self._ready.popleft()
        return px

    def flush(self) -> list[Tensor]:
        """All px frames that were not popped, when they have arrived.

        From then on the decoder's memory may be read on the caller's stream.
        """
        if self._own is not None:
            self._own.synchronize()
        left = [px for px, _ in self._ready]
        self._ready.clear()
        return left

    def _beside(self) -> AbstractContextManager[Any]:
        """Work on the own stream, once the latents that wait are there."""
        if self._own is None:
            return nullcontext()
        self._own.wait_stream(torch.cuda.current_stream(self._device))
        past, waiting = self.decoder.memory
        for tensor in (*past, *waiting):
            if tensor.is_cuda:
                tensor.record_stream(self._own)  # so that its memory is not used again too soon
        return torch.cuda.stream(self._own)

    def _copied(self, px: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
        """The px frames on their way to the CPU, and what tells that they have arrived."""
        if self._own is None:
            return px.cpu(), None
        copy = torch.empty(px.shape, dtype=px.dtype, pin_memory=True)
        copy.copy_(px, non_blocking=True)
        return copy, self._own.record_event()
