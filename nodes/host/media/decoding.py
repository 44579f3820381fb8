"""Streams and latents into IMAGE: a latent frame at a time, with Cancel, as far as memory goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import comfy.model_management as management
import comfy.utils
import torch
from torch import Tensor

from ....causvid_core.media.decoded import (
    decode_blocks,
    decoder_memory,
    latents_to_redecode,
    resume_decoder,
)
from ....causvid_core.media.decoding import StreamDecoder
from ....causvid_core.media.vae import LATENT_MEAN, LATENT_STD, SPACE_SCALE, Z_DIM
from ....causvid_core.media.wan_stream import WanDecoder
from ....causvid_core.stream import geometry
from ....causvid_core.stream.state import StreamBlock, StreamState
from ..notice import show
from ..stream.stream_files import in_bytes
from . import tiny_decoders
from .vae import StreamVAE

WHOLE, NEW = FRAMES = ("whole", "new")


class Decoded(NamedTuple):
    """IMAGE `[frames, H, W, 3]`, the stream with its decoder's memory, and what was said of it."""

    image: Tensor
    state: StreamState | None
    text: str


def decode_stream(state: StreamState, vae: Any, tiny: str, frames: str, budget: int) -> Decoded:
    """The px frames of a stream, all of them or those that no node before has decoded.

    budget: bytes that the decoder's memory may take in the stream; a larger one is computed again.
    Raises ValueError when there are none, or memory does not suffice.
    """
    if not state.blocks:
        raise ValueError("The stream has no frames yet, so there is nothing to decode.")
    first = state.decoder.blocks if frames == NEW and state.decoder is not None else 0
    if first == state.blocks:
        raise ValueError(
            "All of this stream was decoded by a node before it, so none of its frames is new; "
            f"set frames to {WHOLE}."
        )
    total = state.px_frames - state._replace(history=state.history[:first]).px_frames
    size = (state.batch, total, state.height * SPACE_SCALE, state.width * SPACE_SCALE)
    said = _require_room(size, f", or set frames to {NEW}" if frames == WHOLE else "")
    with _decoder(vae, tiny, size) as decoder:
        again = latents_to_redecode(decoder, state.decoder, state.history, first)
        counting = _Counting(
            decoder,
            sum(block.latents.shape[2] for block in state.history[first:])
            + (0 if again is None else again.shape[2]),
        )
        resume_decoder(counting, state.decoder, state.history, first)
        image = _collected(decode_blocks(counting, state.history, first), size)
        memory = decoder_memory(decoder, state.blocks, budget)
        needed = sum(tensor.nbytes for tensor in decoder.memory.past)
    if again is not None:
        said += f", after {again.shape[2]} latent frames before them once more"
    carried = f"what the decoder needs to go on ({in_bytes(needed)})"
    if memory.past:
        said += f". STREAM carries {carried}"
    else:
        said += f". STREAM does not carry {carried}, being more than decoder_gb allows; it is "
        said += "computed again"
    return Decoded(image, state._replace(decoder=memory), said)


def decode_latent(latent: dict[str, Tensor], vae: Any, tiny: str) -> Decoded:
    """The px frames of a video LATENT in the scale of the host's VAE, as its VAE Decode gives them.

    Raises ValueError for another LATENT, and when memory does not suffice.
    """
    samples = latent["samples"]
    if samples.ndim != 5 or samples.shape[1] != Z_DIM or not samples.shape[2]:
        raise ValueError(
            f"The LATENT has shape {tuple(samples.shape)}; a Wan 2.1 video has (batch, {Z_DIM}, "
            "latent frames, height / 8, width / 8)."
        )
    batch, _, count, height, width = samples.shape
    px = geometry.px_frames_from_latent(count)
    size = (batch, px, height * SPACE_SCALE, width * SPACE_SCALE)
    said = _require_room(size)
    mean, std = (torch.tensor(v).view(-1, 1, 1, 1) for v in (LATENT_MEAN, LATENT_STD))
    with _decoder(vae, tiny, size) as decoder:
        block = StreamBlock.new((samples.cpu().float() - mean) / std, torch.empty(0))
        image = _collected(decode_blocks(_Counting(decoder, count), [block]), size)
    return Decoded(image, None, said)


class _Counting:
    """A decoder that moves the progress bar with every latent frame, and heeds Cancel."""

    def __init__(self, decoder: StreamDecoder, latent_frames: int) -> None:
        self._decoder = decoder
        self._bar = comfy.utils.ProgressBar(latent_frames)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def pop(self) -> Tensor | None:
        management.throw_exception_if_processing_interrupted()
        px = self._decoder.pop()
        if px is not None:
            self._bar.update(1)
        return px


def _decoder(
    vae: Any, tiny: str, size: tuple[int, int, int, int]
) -> AbstractContextManager[StreamDecoder]:
    batch, _, height, width = size
    if tiny != tiny_decoders.NONE:
        return tiny_decoders.opened(tiny, height, width, batch)
    if vae is None:
        raise ValueError("Connect a VAE, or choose a tiny_decoder.")
    return _wan_decoder(StreamVAE(vae), height, width, batch)


@contextmanager
def _wan_decoder(vae: StreamVAE, height: int, width: int, batch: int) -> Iterator[StreamDecoder]:
    with vae.loaded(vae.beside_decoding(height, width, batch)) as weights:
        yield WanDecoder(weights)


def _require_room(size: tuple[int, int, int, int], remedy: str = "") -> str:
    """Say what IMAGE will take, before anything is decoded; ValueError when there is not enough."""
    batch, frames, height, width = size
    device = management.intermediate_device()
    needed = batch * frames * height * width * 3 * torch.float32.itemsize
    free = management.get_free_memory(device)
    many = f"{batch} videos of " if batch > 1 else ""
    taken = f"{in_bytes(needed)} ({many}{frames} frames of {width}x{height} px)"
    if needed > free:
        raise ValueError(
            f"IMAGE would take {taken}, but {in_bytes(free)} of memory are free. Use CausVid "
            f"Render to Video, which writes a file while it decodes{remedy}."
        )
    text = f"IMAGE takes {taken}"
    show(text)
    return text


def _collected(px: Iterator[Tensor], size: tuple[int, int, int, int]) -> Tensor:
    """Px frames [B, 3, t, H, W] as they come, in one IMAGE; videos one after the other."""
    image = torch.empty((*size, 3), device=management.intermediate_device())
    done = 0
    for piece in px:
        image[:, done : done + piece.shape[2]] = piece.permute(0, 2, 3, 4, 1)
        done += piece.shape[2]
    if done != size[1]:
        raise RuntimeError(f"{done} px frames were decoded, {size[1]} expected")
    return image.flatten(0, 1)
