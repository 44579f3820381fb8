"""Streams that begin with given pictures: an image that stands still, or the end of footage."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ....causvid_core.media import as_rgb, fitted
from ....causvid_core.media import fit as fit_image
from ....causvid_core.stream import WindowPolicy, px_of
from ....causvid_core.stream.geometry import (
    SPACE_SCALE,
    latent_frames_from_px,
    px_frames_from_latent,
    px_frames_from_seconds,
)
from ..messages import joined, message
from ..stream.request import StreamRequest
from .footage import FootageSockets, footage, given_latents
from .vae import StreamVAE

AUTO_SECONDS = 2.0  # of context for a recipe that keeps everything
DECODED_BEFORE = 2  # latent frames that a piece of a LATENT is decoded after, to be as in the whole


def begun_with_image(
    request: StreamRequest, vae: Any, image: Tensor, fit: str
) -> tuple[StreamRequest, int]:
    """The request for a stream whose first block is an image, and px frames that show it.

    image: `[B, H, W, C]` in 0..1, of which the first is taken. The request's length includes it.
    """
    still = px_of(request.policy, 0, 1)
    picture = fit_image(as_rgb(image[:1]), *_size(request), fit)
    latents = StreamVAE(vae).encode(picture.expand(still, -1, -1, -1))
    begun = request.begun_with(latents, message("image.still", count=still))
    return replace(begun, px_frames=max(1, request.px_frames - still)), still


def begun_with_footage(
    request: StreamRequest, sockets: FootageSockets, vae: Any, fit: str, context_seconds: float
) -> tuple[StreamRequest, int]:
    """The request for a stream that begins with the end of footage, and px frames of that end.

    context_seconds: how much of it at most; 0 for as much as the window holds.
    """
    encoder = StreamVAE(vae)
    if sockets.latents is not None:
        given = given_latents(request, sockets.latents)
        there, text = px_frames_from_latent(given.shape[2]), "LATENT"
        overlap = context_px(request.policy, there, context_seconds)
        tail = latent_tail(given, overlap, encoder)
    else:
        clip = footage(sockets.video, sockets.images)
        there, text = clip.px_frames, clip.text
        overlap = context_px(request.policy, there, context_seconds)
        frames = fitted(clip.read(max(0, there - overlap)), *_size(request), fit)
        tail = encoder.encode(filled(list(frames), overlap))
    if overlap > there:
        end = message("footage.first_repeated", count=overlap - there)
    else:
        end = message("footage.continued", count=overlap)
    note = joined(message("footage.read", footage=text), end)
    return request.begun_with(tail, note), overlap


def context_px(policy: WindowPolicy, there: int, seconds: float) -> int:
    """Px frames of the newest whole blocks to look at, of `there` that there are; at least one.

    As many as the window holds next to the block to make, and not more than `seconds` unless 0.
    """
    if not seconds and policy.window is None:
        seconds = AUTO_SECONDS
    most = min(there, px_frames_from_seconds(seconds)) if seconds else there

    def fits(blocks: int) -> bool:
        held = policy.window is None or policy.span(blocks).end <= policy.window
        return held and px_of(policy, 0, blocks) <= most

    blocks = 1
    while fits(blocks + 1):
        blocks += 1
    return px_of(policy, 0, blocks)


def latent_tail(latents: Tensor, px_frames: int, vae: StreamVAE) -> Tensor:
    """The end of latents `[B, 16, T, h, w]` as a video of its own, `px_frames` long.

    A video's first latent frame stands for one px frame, the others for four; so a piece is
    decoded and encoded again, unless it is the whole.
    """
    frames = latent_frames_from_px(px_frames)
    if frames == latents.shape[2]:
        return latents
    pieces = []
    for sample in latents[:, :, -(frames + DECODED_BEFORE) :].split(1):
        pieces.append(vae.encode(filled(list(vae.decode(sample)), px_frames)))
    return torch.cat(pieces)


def filled(frames: list[Tensor], count: int) -> Tensor:
    """The last `count` of frames `[H, W, 3]` in one tensor, the first repeated where they lack."""
    return torch.stack([*frames[:1] * (count - len(frames)), *frames[-count:]])


def _size(request: StreamRequest) -> tuple[int, int]:
    return request.state.width * SPACE_SCALE, request.state.height * SPACE_SCALE
