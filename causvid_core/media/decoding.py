"""Coding a video as a stream: push frames, pop what is ready, flush, reset.

Wan's VAE, tiny decoders and plain colours have this one life cycle, which TAEHV's StreamingTAEHV
made popular. What goes in is split into fixed pieces, so the joined output is the same to the bit
however the stream was cut, and memory is bounded by one piece.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

Past = tuple[Tensor, ...]
"""What the layers keep of the frames that are done, in the layers' order; empty at the start."""


class Memory(NamedTuple):
    """All that a codec needs to go on. Never changed: keep it, and go on from it as often as you
    like, on this codec or on another one of the same weights.

    waiting: frames that were pushed and are not coded yet, each [B, C, 1, H, W].
    """

    past: Past = ()
    waiting: Past = ()


class StreamCodec(ABC):
    """The life cycle. `memory` may be read and put back at any time between two calls.

    What a call raises, an interrupt included, leaves the memory as it was.
    """

    def __init__(self) -> None:
        self.memory = Memory()

    @abstractmethod
    def piece(self, past: Past) -> int:
        """Frames that the next piece takes."""

    @abstractmethod
    def step(self, frames: Tensor, past: Past) -> tuple[Tensor, Past]:
        """One piece coded, and what the next one needs; `past` is not changed."""

    def push(self, frames: Tensor) -> None:
        """Take in [B, C, T, H, W], any T; the tensor may be changed afterwards."""
        taken = (frame.unsqueeze(2).clone() for frame in frames.detach().unbind(2))
        self.memory = self.memory._replace(waiting=(*self.memory.waiting, *taken))

    @torch.no_grad()
    def pop(self) -> Tensor | None:
        """Code the next piece; None when what waits fills none."""
        past, waiting = self.memory
        size = self.piece(past)
        if len(waiting) < size:
            return None
        coded, past = self.step(torch.cat(waiting[:size], dim=2), past)
        self.memory = Memory(past, waiting[size:])
        return coded

    def drain(self) -> Tensor | None:
        """All that is ready, joined; None when nothing is."""
        ready = []
        while (coded := self.pop()) is not None:
            ready.append(coded)
        return torch.cat(ready, dim=2) if ready else None

    def flush(self) -> Tensor | None:
        """What is left at the end of a stream, joined; None when nothing waits."""
        return self.drain()

    def resume(self, past: Past) -> None:
        """Forget the stream and go on after frames that left this past."""
        self.memory = Memory(tuple(past))

    def reset(self) -> None:
        """Forget the stream: the next frame is the first of a new one."""
        self.memory = Memory()


class StreamDecoder(StreamCodec):
    """Latents [B, 16, T, h, w], as the transformer has them and on any device, to px frames
    [B, 3, t, H, W] in 0..1 and float32, where the decoder's weights are.

    The first latent frame of a stream gives 1 px frame, each later one 4. `name` tells whose
    memory it is. `reach`: latent frames that bear on the memory; decoding the last `reach` ones
    gives the memory of the whole stream, to the bit.
    """

    name: str
    reach: int

    def piece(self, past: Past) -> int:
        return 1

    def decode(self, latents: Tensor) -> Tensor:
        """The px frames of these latents, and of those that still wait.

        Raises ValueError when there are none.
        """
        self.push(latents)
        px = self.drain()
        if px is None:
            raise ValueError("there are no latent frames to decode; push at least one")
        return px


def digest(tensors: Iterable[Tensor]) -> str:
    """A short name for the values and the dtype of a few tensors of one dtype."""
    joined = torch.cat([tensor.detach().flatten() for tensor in tensors]).cpu()
    named = str(joined.dtype).encode() + joined.float().numpy().tobytes()
    return hashlib.sha256(named).hexdigest()[:16]
