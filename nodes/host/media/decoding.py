"""Streams and latents into IMAGE: a latent frame at a time, with Cancel, as far as memory goes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import comfy.model_management as management
import comfy.utils
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ....causvid_core import media
from ....causvid_core.stream import StreamBlock, StreamState
from ....causvid_core.stream.geometry import SPACE_SCALE, px_frames_from_latent
from ..files import in_bytes
from ..loading import tiny_decoders
from ..messages import joined, message
from ..notice import show
from ..schema import blocked
from ..stream.inputs import GB, NEW, WHOLE
from .vae import StreamVAE


class Decoded(NamedTuple):
    """IMAGE `[frames, H, W, 3]`, the stream with its decoder's memory, and a notice."""

    image: Tensor
    state: StreamState | ExecutionBlocker | None
    text: str


def decode(
    stream: StreamState | None,
    latent: dict[str, Tensor] | None,
    vae: Any,
    tiny: str,
    frames: str,
    decoder_gb: float,
) -> Decoded:
    """`decode_stream` or `decode_latent`, of which one is given; else raises ValueError."""
    if (stream is None) == (latent is None):
        raise ValueError(message("decode.neither" if stream is None else "decode.both"))
    if stream is not None:
        return decode_stream(stream, vae, tiny, frames, decoder_gb)
    found = decode_latent(latent, vae, tiny)
    return found._replace(state=blocked(message("decode.no_stream")))


def decode_stream(
    state: StreamState, vae: Any, tiny: str, frames: str, decoder_gb: float
) -> Decoded:
    """The px frames of a stream, all of them or those that no node before has decoded.

    decoder_gb: what the decoder's memory may take in the stream; a larger one is computed again.
    Raises ValueError when there are none, or memory does not suffice.
    """
    if not state.blocks:
        raise ValueError(message("decode.empty"))
    first = state.decoder.blocks if frames == NEW and state.decoder is not None else 0
    if first == state.blocks:
        raise ValueError(message("decode.nothing_new", whole=WHOLE))
    total = state.px_frames - state._replace(history=state.history[:first]).px_frames
    size = (state.batch, total, state.height * SPACE_SCALE, state.width * SPACE_SCALE)
    said = [_require_room(size, message("decode.or_new", new=NEW) if frames == WHOLE else "")]
    with _decoder(vae, tiny, size) as decoder:
        again = media.latents_to_redecode(decoder, state.decoder, state.history, first)
        before = 0 if again is None else again.shape[2]
        ahead = sum(block.latents.shape[2] for block in state.history[first:])
        counting = _Counting(decoder, ahead + before)
        media.resume_decoder(counting, state.decoder, state.history, first)
        image = _collected(media.decode_blocks(counting, state.history, first), size)
        memory = media.decoder_memory(decoder, state.blocks, round(decoder_gb * GB))
        needed = sum(tensor.nbytes for tensor in decoder.memory.past)
    if before:
        said.append(message("decode.again", count=before))
    key = "decode.memory_carried" if memory.past else "decode.memory_too_large"
    said.append(message(key, size=in_bytes(needed)))
    return Decoded(image, state._replace(decoder=memory), joined(*said))


def decode_latent(latent: dict[str, Tensor], vae: Any, tiny: str) -> Decoded:
    """The px frames of a video LATENT in the scale of the host's VAE, as its VAE Decode gives them.

    Raises ValueError for another LATENT, and when memory does not suffice.
    """
    samples = latent["samples"]
    if samples.ndim != 5 or samples.shape[1] != media.Z_DIM or not samples.shape[2]:
        shape = tuple(samples.shape)
        raise ValueError(message("decode.other_latent", shape=shape, channels=media.Z_DIM))
    batch, _, count, height, width = samples.shape
    size = (batch, px_frames_from_latent(count), height * SPACE_SCALE, width * SPACE_SCALE)
    said = _require_room(size)
    mean, std = (torch.tensor(v).view(-1, 1, 1, 1) for v in (media.LATENT_MEAN, media.LATENT_STD))
    with _decoder(vae, tiny, size) as decoder:
        block = StreamBlock.new((samples.cpu().float() - mean) / std, torch.empty(0))
        image = _collected(media.decode_blocks(_Counting(decoder, count), [block]), size)
    return Decoded(image, None, said)


class _Counting:
    """A decoder that moves the progress bar with every latent frame, and stops at Cancel."""

    def __init__(self, decoder: media.StreamDecoder, latent_frames: int) -> None:
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
) -> AbstractContextManager[media.StreamDecoder]:
    batch, _, height, width = size
    if tiny != tiny_decoders.NONE:
        return tiny_decoders.opened(tiny, height, width, batch)
    if vae is None:
        raise ValueError(message("vae.or_tiny"))
    return _wan_decoder(StreamVAE(vae), height, width, batch)


@contextmanager
def _wan_decoder(
    vae: StreamVAE, height: int, width: int, batch: int
) -> Iterator[media.StreamDecoder]:
    with vae.loaded(vae.decoding_bytes(height, width, batch)) as weights:
        yield media.WanDecoder(weights)


def _require_room(size: tuple[int, int, int, int], remedy: str = "") -> str:
    """Say what IMAGE will take, before anything is decoded; ValueError when there is not enough."""
    batch, frames, height, width = size
    device = management.intermediate_device()
    needed = batch * frames * height * width * 3 * torch.float32.itemsize
    free = management.get_free_memory(device)
    taken = message(
        "decode.size" if batch == 1 else "decode.size_batch",
        size=in_bytes(needed),
        videos=batch,
        frames=frames,
        width=width,
        height=height,
    )
    if needed > free:
        raise ValueError(
            joined(message("decode.no_room", image=taken, free=in_bytes(free)), remedy)
        )
    text = message("decode.room", image=taken)
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
