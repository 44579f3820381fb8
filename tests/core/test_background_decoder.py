"""Decoding beside the making of latents gives what decoding in line gives."""

import pytest
import torch

from causvid_core.media.background_decoder import BackgroundDecoder
from causvid_core.media.vae import WanVAE
from causvid_core.media.wan_stream import WanDecoder

BLOCKS = (3, 3, 1, 3)


def decoder(device: str, dim: int = 4) -> WanDecoder:
    torch.manual_seed(0)
    return WanDecoder(WanVAE.from_state_dict(WanVAE(dim).state_dict()).to(device))


def blocks(device: str, side: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    made = (torch.randn(1, 16, frames, side, side, generator=generator) for frames in BLOCKS)
    return [block.to(device) for block in made]


def in_bytes(px: torch.Tensor) -> torch.Tensor:
    return (px * 255).round().byte()


def in_line(device: str, latents: list[torch.Tensor], dim: int = 4) -> torch.Tensor:
    """Decoded one after the other, with a reset before the last block."""
    own = decoder(device, dim)
    parts = [own.decode(block) for block in latents[:-1]]
    own.reset()
    return in_bytes(torch.cat([*parts, own.decode(latents[-1])], dim=2)).cpu()


def test_without_a_device_it_decodes_at_once():
    latents = blocks("cpu")
    beside, px = BackgroundDecoder(decoder("cpu"), "cpu", in_bytes), []
    for index, block in enumerate(latents):
        if index == len(latents) - 1:
            beside.reset()
        beside.push(block)
        while index % 2 and (piece := beside.pop()) is not None:
            px.append(piece)
    assert beside.pop() is None and beside.flush() == []
    assert torch.equal(torch.cat(px, dim=2), in_line("cpu", latents))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_decodes_while_others_compute():
    """Popping does not wait, latents may be changed at once, the memory is whole after flush."""
    latents, busy = blocks("cuda", side=16), torch.randn(4096, 4096, device="cuda")
    expected = in_line("cuda", latents, dim=32)
    beside, pending = BackgroundDecoder(decoder("cuda", 32), "cuda", in_bytes), 0
    for index, block in enumerate(latents):
        if index == len(latents) - 1:
            beside.reset()
        for _ in range(20):
            busy = torch.nn.functional.normalize(busy @ busy)
        given = block + 0 * busy[0, 0]  # is there only after the products
        beside.push(given)
        given.fill_(7.0)
        pending += beside.pop() is None
    px = beside.flush()
    assert pending and beside.pop() is None and all(piece.is_pinned() for piece in px)
    assert torch.equal(torch.cat(px, dim=2), expected)
    again = decoder("cuda", 32)
    again.decode(latents[-1])
    assert all(map(torch.equal, beside.decoder.memory.past, again.memory.past))
