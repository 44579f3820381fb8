"""Footage on its way into a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice

import torch
from einops import rearrange
from torch import Tensor

from ..stream.lengths import px_of
from ..stream.state import StreamState
from ..stream.window import WindowPolicy
from .fitting import fit
from .wan_stream import WanEncoder


def fitted(frames: Iterable[Tensor], width: int, height: int, how: str) -> Iterator[Tensor]:
    """Frames `[H, W, 3]` of any size, each fitted when it is asked for."""
    return (fit(frame[None], width, height, how)[0] for frame in frames)


def encoded_blocks(
    encoder: Callable[[], WanEncoder],
    frames: Iterable[Tensor],
    state: StreamState,
    hold: bool = True,
    on_frames: Callable[[Tensor], object] = lambda px: None,
) -> Iterator[Tensor]:
    """Latents `[1, 16, t, h, w]` of the next blocks of a stream, from px frames of its size.

    Nothing is read or encoded before it is asked for. encoder: makes the encoder, then. on_frames
    is called with the px frames `[T, H, W, 3]` of a block before its latents are given. hold: see
    `px_blocks`.
    """
    policy, working = WindowPolicy.of(state.recipe), None
    sizes = (px_of(policy, block, 1) for block in count(state.blocks))
    for px in px_blocks(frames, sizes, hold):
        on_frames(px)
        clip = as_clip(px)
        if working is None:
            working = encoder()
            if state.blocks:
                # Only the first frame of a video is a latent frame of its own, and it is past.
                working.encode(clip[:, :, :1])
        yield working.encode_all(clip)


def px_blocks(frames: Iterable[Tensor], sizes: Iterable[int], hold: bool) -> Iterator[Tensor]:
    """Frames `[H, W, 3]` in blocks `[size, H, W, 3]`, read as the blocks are asked for.

    hold: fill the last block up by repeating the last frame, else leave it out. A video shorter
    than the first block is filled up in any case.
    """
    frames, first = iter(frames), True
    for size in sizes:
        block = list(islice(frames, size))
        if not block or (len(block) < size and not hold and not first):
            return
        block += block[-1:] * (size - len(block))
        yield torch.stack(block)
        first = False


def as_clip(px: Tensor) -> Tensor:
    """Px frames `[T, H, W, 3]` as a VAE takes them, `[1, 3, T, H, W]`."""
    return rearrange(px, "t h w c -> 1 c t h w").float()
