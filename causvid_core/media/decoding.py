"""Encoding and decoding a video as a stream: push frames, pop what is ready, flush, reset.

Wan's VAE, tiny decoders and plain colours share this life cycle, which TAEHV's StreamingTAEHV made
popular. The input is split into fixed pieces, so the joined output is the same to the bit however
the stream was cut, and memory is bounded by one piece.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

Past = tuple[Tensor, ...]
"""The feature cache: what layers keep of earlier frames, in their order; empty at the start."""


class Memory(NamedTuple):
    """All that a codec needs to continue. Never changed: it can be kept, and resumed from as often
    as you like, by this codec or another with the same weights.

    waiting: frames that were pushed and are not coded yet, each [B, C, 1, H, W].
    """

    past: Past = ()
    waiting: Past = ()


class StreamCodec(ABC):
    """The life cycle. `memory` may be read and put back at any time between two calls.

    A call that raises, also because of an interrupt, leaves the memory as it was.
    """

    def __init__(self) -> None:
        self.memory = Memory()

    @abstractmethod
    def piece(self, past: Past) -> int:
        """Number of frames in the next piece."""

    @abstractmethod
    def step(self, frames: Tensor, past: Past) -> tuple[Tensor, Past]:
        """Code one piece; returns it and the past of the next one. `past` is not changed."""

    def push(self, frames: Tensor) -> None:
        """Add frames [B, C, T, H, W], any T; the tensor may be changed afterwards."""
        taken = (frame.unsqueeze(2).clone() for frame in frames.detach().unbind(2))
        self.memory = self.memory._replace(waiting=(*self.memory.waiting, *taken))

    @torch.no_grad()
    def pop(self) -> Tensor | None:
        """Code the next piece; None when too few frames wait."""
        past, waiting = self.memory
        size = self.piece(past)
        if len(waiting) < size:
            return None
        coded, past = self.step(torch.cat(waiting[:size], dim=2), past)
        self.memory = Memory(past, waiting[size:])
        return coded

    def drain(self) -> Tensor | None:
        """All that is ready, joined; None when nothing is."""
        ready = list(iter(self.pop, None))
        return torch.cat(ready, dim=2) if ready else None

    def flush(self) -> Tensor | None:
        """What is left at the end of a stream, joined; None when nothing is."""
        return self.drain()

    def resume(self, past: Past) -> None:
        """Forget the stream and continue one whose frames so far left this past."""
        self.memory = Memory(tuple(past))

    def reset(self) -> None:
        """Forget the stream: the next frame is the first of a new one."""
        self.memory = Memory()

    def _code(self, frames: Tensor, named: str) -> Tensor:
        """Push frames and drain; ValueError when they are too few."""
        self.push(frames)
        coded = self.drain()
        if coded is None:
            raise ValueError(f"there are no {named}; push at least one")
        return coded


class StreamDecoder(StreamCodec):
    """Latents [B, 16, T, h, w], as the transformer has them and on any device, to px frames
    [B, 3, t, H, W] in 0..1 and float32, on the device of the decoder's weights.

    The first latent frame of a stream gives 1 px frame, each later one 4. name: identifies the
    weights, for memory that is kept. reach: latent frames that the memory depends on; decoding the
    last `reach` ones gives the memory of the whole stream, to the bit.
    """

    name: str
    reach: int

    def piece(self, past: Past) -> int:
        return 1

    def decode(self, latents: Tensor) -> Tensor:
        """The px frames of these latents, and of those that still wait.

        Raises ValueError when there are none.
        """
        return self._code(latents, "latent frames to decode")


def digest(tensors: Iterable[Tensor]) -> str:
    """A short name for the values and the dtype of a few tensors of one dtype.

    Stream files keep it, as part of their decoder's name.
    """
    joined = torch.cat([tensor.detach().flatten() for tensor in tensors]).cpu()
    named = str(joined.dtype).encode() + joined.float().numpy().tobytes()
    return hashlib.sha256(named).hexdigest()[:16]
