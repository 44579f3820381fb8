"""Blocks of a stream decoded to px frames while the stream is made."""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from ..stream.rollout import Block
from ..stream.segment import starts_afresh
from ..stream.state import DecoderMemory, StreamState
from .background_decoder import BackgroundDecoder
from .decoded import decoder_memory, resume_decoder
from .decoding import StreamDecoder
from .pixels import as_levels

IN_FLIGHT = 2  # blocks that may be in flight before the film waits for the device


class Film:
    """Decodes the blocks of a stream as they are made and delivers their px frames in order.

    A context manager: `begin` with the stream so far, then `add` every finished block. However the
    context is left, everything that was added is delivered. On a GPU a block is decoded while the
    next one is made. give: called with px frames `[T, H, W, 3]` on the CPU, uint8, or int32 up to
    65535 if `deep`. most: how many px frames are delivered; None for all.
    """

    def __init__(
        self,
        decoder: StreamDecoder,
        device: torch.device | str,
        give: Callable[[Tensor], object],
        *,
        deep: bool = False,
        most: int | None = None,
    ) -> None:
        self._decoder, self._give, self._most = decoder, give, most
        self._background = BackgroundDecoder(decoder, device, lambda px: as_levels(px, deep))
        self._blocks = self._in_flight = 0
        self.px_frames = 0

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *error: object) -> None:
        self._deliver_rest()

    def begin(
        self, state: StreamState, first: int, before_block: Callable[[], object] = lambda: None
    ) -> None:
        """Deliver the frames of the blocks from `first` on that `state` already has.

        The decoder continues from the memory that `state` carries, or first decodes once more what
        those frames depend on. before_block: called for each; what it raises passes through.
        """
        resume_decoder(self._decoder, state.decoder, state.history, first)
        self._blocks = first
        for index in range(first, state.blocks):
            before_block()
            self._push(index, state.history[index].latents, state.history[index].switch)

    def add(self, block: Block) -> None:
        """Decode the next block of the stream."""
        self._push(block.index, block.latents, block.switch)

    def memory(self) -> DecoderMemory | None:
        """How far the stream is decoded, for another decoder to continue; None before any block."""
        return decoder_memory(self._decoder, self._blocks, 0) if self._blocks else None

    def _push(self, index: int, latents: Tensor, switch: str) -> None:
        if index and starts_afresh(switch):
            self._background.reset()
        self._background.push(latents)
        self._blocks = index + 1
        self._in_flight += latents.shape[2]
        while (px := self._background.pop()) is not None:
            self._deliver(px)
        if self._in_flight > IN_FLIGHT * latents.shape[2]:
            self._deliver_rest()

    def _deliver_rest(self) -> None:
        for px in self._background.flush():
            self._deliver(px)

    def _deliver(self, px: Tensor) -> None:
        """px: [1, 3, T, H, W], those of one latent frame."""
        frames = rearrange(px, "1 c t h w -> t h w c")
        self._in_flight -= 1
        if self._most is not None:
            frames = frames[: self._most - self.px_frames]
        if len(frames):
            self.px_frames += len(frames)
            self._give(frames)
