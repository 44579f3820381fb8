"""Footage as the source of a stream: VIDEO, IMAGE or LATENT, measured, fitted and encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from torch import Tensor

from ....causvid_core.media.encoding import fitted
from ....causvid_core.media.motion import MotionStrength
from ....causvid_core.stream import geometry
from ....causvid_core.stream.lengths import whole_px
from ....causvid_core.stream.state import StreamState
from ..loading.sampling import NOTHING, Beside
from ..notice import show
from ..stream.streaming import OpenStream
from . import footage_inputs

HOLD, CUT = ENDINGS = ("repeat last frame", "cut off")


class Take(NamedTuple):
    """How much of the footage is taken, and how. seconds: at most; 0 for all. ending: one of
    `ENDINGS`. follow_motion: see `MotionStrength`."""

    width: int
    height: int
    fit: str
    strength: float
    seconds: float = 0.0
    follow_motion: float = 0.0
    ending: str = HOLD


class Taken(NamedTuple):
    """What `make_longer` is given of it. end_px: px frames of the stream at the footage's end."""

    px_frames: int
    source: Tensor | Iterable[Tensor]
    strength: float | Callable[[int], float]
    source_id: str | None
    beside: Beside
    note: str
    end_px: int


def take_footage(
    opened: OpenStream,
    take: Take,
    *,
    vae: Any = None,
    video: Any = None,
    images: Tensor | None = None,
    latents: dict | None = None,
) -> Taken:
    """The one of video, images and latents that is given, for the stream.

    Raises ValueError unless it is exactly one and fits.
    """
    footage_inputs.one_of(video, images, latents)
    if latents is not None:
        if take.follow_motion:
            show("follow_motion needs pictures to look at, so it has no effect on a LATENT")
        return _latents(opened, take, latents)
    state = opened.state
    footage, encoder = footage_inputs.taken_in(video, images, vae)
    end, taken, text = _length(state, take, footage.px_frames)
    follows = MotionStrength(take.strength, take.follow_motion)
    frames = fitted(footage.read(0), take.width, take.height, take.fit)
    source = footage_inputs.encoded_blocks(
        encoder, frames, state, take.ending == HOLD, follows.push
    )
    source_id = (
        f"{footage.name} {encoder.name} {take.fit} {take.strength} {take.follow_motion} "
        f"{take.ending}"
    )
    beside = encoder.beside(take.height, take.width)
    return Taken(taken, source, follows, source_id, beside, f"{footage.text}{text}", end)


def _latents(opened: OpenStream, take: Take, latent: dict[str, Tensor]) -> Taken:
    """Footage that is encoded already."""
    state = opened.state
    latents = footage_inputs.given_latents(opened.model, latent, state)
    text, alone = "LATENT", geometry.TIME_SCALE - 1
    if state.blocks:
        # It stands for one px frame; within a stream every latent frame stands for four.
        latents, text, alone = latents[:, :, 1:], "LATENT without its first frame", 0
    if not latents.shape[2]:
        raise ValueError("The LATENT has no frames that can follow a stream; give a longer one.")
    there = latents.shape[2] * geometry.TIME_SCALE - alone
    end, taken, ends = _length(state, take, there)
    source = footage_inputs.held(latents, (taken + alone) // geometry.TIME_SCALE)
    return Taken(taken, source, take.strength, None, NOTHING, f"{text}{ends}", end)


def _length(state: StreamState, take: Take, there: int) -> tuple[int, int, str]:
    """Px frames of the stream at the end of the footage, px frames to make, words about the end.

    there: px frames of the footage.
    """
    seconds, hold = take.seconds, take.ending == HOLD
    wanted = min(there, geometry.px_frames_from_seconds(seconds)) if seconds else there
    taken = whole_px(state, wanted, there, hold)
    ends = ""
    if taken > there:
        ends = f", the last one repeated {taken - there} times to fill a block"
    elif taken < wanted:
        ends = f", {wanted - taken} at the end left out"
    return state.px_frames + min(taken, there), taken, ends
