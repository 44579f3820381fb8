"""How far a stream has been decoded, and how a decoder goes on from there.

A decoder is anything with the life cycle of `causvid_core.media.decoding.StreamDecoder`.
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

    With the memory, if it serves, else by decoding what `latents_to_redecode` names. Returns whether
    it had to decode.
    """
    decoder.reset()
    latents = latents_to_redecode(decoder, memory, history, block)
    if latents is not None:
        decoder.push(latents)
        while decoder.pop() is not None:
            pass
    elif _serves(memory, decoder, block):
        decoder.resume(memory.past)
    return latents is not None


def latents_to_redecode(
    decoder: Any, memory: DecoderMemory | None, history: Sequence[StreamBlock], block: int
) -> Tensor | None:
    """Latents before block `block` that the decoder needs to see first, None where it needs none.

    Those of its reach, or all since the last cut: they give the memory to the bit.
    """
    if _serves(memory, decoder, block):
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
    """The px frames of the blocks from `first` on, a latent frame's at a time: [B, 3, t, H, W].

    The decoder is reset at cuts; otherwise it goes on from what it decoded last. Mutates it.
    """
    for index in range(first, len(history)):
        if index and starts_afresh(history[index].switch):
            decoder.reset()
        decoder.push(history[index].latents)
        while (px := decoder.pop()) is not None:
            yield px


def decoder_memory(decoder: Any, blocks: int, budget: int) -> DecoderMemory:
    """What a stream of `blocks` decoded blocks takes along, within `budget` bytes."""
    found = DecoderMemory(decoder.name, blocks, decoder.memory.past).within(budget)
    return found._replace(past=tuple(tensor.cpu() for tensor in found.past))


def _serves(memory: DecoderMemory | None, decoder: Any, block: int) -> bool:
    """Whether the decoder can go on from the memory at a block."""
    if memory is None or not memory.past:
        return False
    return (memory.name, memory.blocks) == (decoder.name, block)
