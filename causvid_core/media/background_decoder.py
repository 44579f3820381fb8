"""Decoding one block while the next one is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from .decoding import StreamDecoder


class BackgroundDecoder:
    """A decoder that works on a CUDA stream of its own; without CUDA it decodes at once.

    `push` returns as soon as the work is queued: the device decodes while the caller queues the
    next block, and copies the px frames to pinned memory on its own. `pop` never waits for the
    device, `flush` does. Nobody else may use the decoder meanwhile.
    after: applied to px frames [B, 3, t, H, W] on the device before they are copied, for example to
    reduce their bits.
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
        self._own: Any = None
        if self._device.type == "cuda":
            self._own = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._ready: deque[tuple[Tensor, Any]] = deque()  # with the event of its arrival

    def push(self, latents: Tensor) -> None:
        """Decode the next latents [B, 16, T, h, w]; the tensor may be changed afterwards."""
        self.decoder.push(latents)
        with self._on_own_stream():
            while (px := self.decoder.pop()) is not None:
                self._ready.append(self._copied(self._after(px)))

    def reset(self) -> None:
        """Begin a new stream; px frames in flight still arrive."""
        self.decoder.reset()

    def pop(self) -> Tensor | None:
        """The px frames of the next latent frame, on the CPU; None while none have arrived."""
        if not self._ready:
            return None
        px, arrival = self._ready[0]
        if arrival is not None and not arrival.query():
            return None
        self._ready.popleft()
        return px

    def flush(self) -> list[Tensor]:
        """Wait for all px frames that were not popped, and return them.

        After that the decoder's memory may be read on the caller's stream.
        """
        if self._own is not None:
            self._own.synchronize()
        left = [px for px, _ in self._ready]
        self._ready.clear()
        return left

    def _on_own_stream(self) -> AbstractContextManager[Any]:
        """A context that queues work on the own stream, after the latents that wait are there."""
        if self._own is None:
            return nullcontext()
        self._own.wait_stream(torch.cuda.current_stream(self._device))
        past, waiting = self.decoder.memory
        for tensor in (*past, *waiting):
            if tensor.is_cuda:
                tensor.record_stream(self._own)  # so that its memory is not reused too soon
        return torch.cuda.stream(self._own)

    def _copied(self, px: Tensor) -> tuple[Tensor, Any]:
        """The px frames in flight to the CPU, and the event of their arrival."""
        if self._own is None:
            return px.cpu(), None
        copy = torch.empty(px.shape, dtype=px.dtype, pin_memory=True)
        copy.copy_(px, non_blocking=True)
        return copy, self._own.record_event()
