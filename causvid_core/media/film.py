"""Blocks of a stream on their way to px frames."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import torch
from torch import Tensor

from ..stream.rollout import Block
from ..stream.segment import starts_afresh
from ..stream.state import DecoderMemory, StreamState
from .decoded import decoder_memory, resume_decoder
from .decoding import StreamDecoder
from .overlap import BackgroundDecoder
from .writer import as_levels

BEHIND = 2  # blocks that may be on their way before the device is waited for


class Film:
    """Decodes the blocks of a stream as they are made and gives their px frames away, in order.

    A context manager: `begin` with the stream as it is, then `add` every finished block. On every
    way out what was added is given. On a GPU a block is decoded while the next one is made.
    give: is told px frames `[T, H, W, 3]` on the CPU: uint8, or int32 up to 65535 where `deep`.
    """

    def __init__(
        self,
        decoder: StreamDecoder,
        device: torch.device | str,
        give: Callable[[Tensor], object],
        *,
        deep: bool = False,
    ) -> None:
        self._decoder, self._give = decoder, give
        self._beside = BackgroundDecoder(decoder, device, lambda px: as_levels(px, deep))
        self._blocks = self._on_their_way = 0
        self.px_frames = 0

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._deliver_rest()

    def begin(self, state: StreamState, first: int, heed: Callable[[], object] = int) -> None:
        """Give the frames of the blocks from `first` on that `state` has already.

        The decoder goes on from what `state` keeps of an earlier decoding, or decodes once more
        what bears on those frames. heed: called before each block; what it raises passes through.
        """
        resume_decoder(self._decoder, state.decoder, state.history, first)
        self._blocks = first
        for index in range(first, state.blocks):
            heed()
            self._push(index, state.history[index].latents, state.history[index].switch)

    def add(self, block: Block) -> None:
        """Decode the next block of the stream."""
        self._push(block.index, block.latents, block.switch)

    def memory(self) -> DecoderMemory | None:
        """How far the stream is decoded, for another decoder to go on; None before any block."""
        return decoder_memory(self._decoder, self._blocks, 0) if self._blocks else None

    def _push(self, index: int, latents: Tensor, switch: str) -> None:
        if index and starts_afresh(switch):
            self._beside.reset()
        self._beside.push(latents)
        self._blocks = index + 1
        self._on_their_way += latents.shape[2]
        while (px := self._beside.pop()) is not None:
            self._deliver(px)
        if self._on_their_way > BEHIND * latents.shape[2]:
            self._deliver_rest()

    def _deliver_rest(self) -> None:
        for px in self._beside.flush():
            self._deliver(px)

    def _deliver(self, px: Tensor) -> None:
        """px: [1, 3, T, H, W], those of a latent frame."""
        frames = px[0].permute(1, 2, 3, 0)
        self._on_their_way -= 1
        self.px_frames += len(frames)
        self._give(frames)
