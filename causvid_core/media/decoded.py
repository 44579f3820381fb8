"""How far a stream is decoded, and how a decoder continues from there.

A decoder is anything with the life cycle of `decoding.StreamDecoder`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..stream.segment import starts_afresh
from ..stream.state import DecoderMemory, StreamBlock


def resume_decoder(
    decoder: Any, memory: DecoderMemory | None, history: Sequence[StreamBlock], block: int
) -> bool:
    """Bring a decoder to where block `block` of a stream begins. Mutates the decoder.

    It takes over the memory if that fits, else it decodes `latents_to_redecode`. Returns whether
    it had to decode.
    """
    decoder.reset()
    latents = latents_to_redecode(decoder, memory, history, block)
    if latents is not None:
        decoder.push(latents)
        while decoder.pop() is not None:
            pass
    elif memory is not None and _fits(memory, decoder, block):
        decoder.resume(memory.past)
    return latents is not None


def latents_to_redecode(
    decoder: Any, memory: DecoderMemory | None, history: Sequence[StreamBlock], block: int
) -> Tensor | None:
    """Latents before block `block` that the decoder has to see first; None when it needs none.

    They are those within its reach, or all since the last cut, and give its memory to the bit.
    """
    if memory is not None and _fits(memory, decoder, block):
        return None
    if block < len(history) and starts_afresh(history[block].switch):
        return None
    pieces: list[Tensor] = []
    missing = decoder.reach
    for earlier in reversed(history[:block]):
        pieces.insert(0, earlier.latents[:, :, -missing:])
        missing -= pieces[0].shape[2]
        if not missing or starts_afresh(earlier.switch):
            break
    return torch.cat(pieces, dim=2) if pieces else None


def decode_blocks(decoder: Any, history: Sequence[StreamBlock], first: int = 0) -> Iterator[Tensor]:
    """The px frames of the blocks from `first` on, one latent frame's at a time: [B, 3, t, H, W].

    The decoder is reset at cuts and otherwise continues from what it decoded last. Mutates it.
    """
    for index in range(first, len(history)):
        if index and starts_afresh(history[index].switch):
            decoder.reset()
        decoder.push(history[index].latents)
        while (px := decoder.pop()) is not None:
            yield px


def decoder_memory(decoder: Any, blocks: int, max_bytes: int) -> DecoderMemory:
    """What a stream with `blocks` decoded blocks carries along, within `max_bytes`."""
    memory = DecoderMemory(decoder.name, blocks, decoder.memory.past).within(max_bytes)
    return memory._replace(past=tuple(tensor.cpu() for tensor in memory.past))


def _fits(memory: DecoderMemory, decoder: Any, block: int) -> bool:
    """Whether the decoder can continue from the memory at a block."""
    return bool(memory.past) and (memory.name, memory.blocks) == (decoder.name, block)
