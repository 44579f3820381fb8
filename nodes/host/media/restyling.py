"""Footage as the source of a stream: measured, fitted, encoded block by block, denoised again."""

from dataclasses import replace
from typing import Any

import comfy.model_management as management
import torch
from torch import Tensor

from ....causvid_core.media import MotionStrength, WanEncoder, encoded_blocks, fitted
from ....causvid_core.stream import whole_px
from ....causvid_core.stream.geometry import FPS, SPACE_SCALE, TIME_SCALE
from ..messages import joined, message
from ..notice import show
from ..stream.request import StreamRequest
from .footage import FootageSockets, footage, given_latents
from .vae import StreamVAE

HOLD, CUT = ENDINGS = ("repeat last frame", "cut off")


def restyled(
    request: StreamRequest,
    sockets: FootageSockets,
    *,
    vae: Any,
    fit: str,
    strength: float,
    follow_motion: float = 0.0,
    ending: str = HOLD,
    fps: float = FPS,
) -> tuple[StreamRequest, int]:
    """The request with footage as its source, and the px frame of the stream where that ends.

    Of the footage, `request.px_frames` px frames are taken at most; 0 takes all. ending: one of
    `ENDINGS`, for frames that do not fill a block. follow_motion: see `MotionStrength`. fps: of the
    px frames that a VIDEO is read as. Raises
    ValueError unless exactly one socket is connected, and fits.
    """
    sockets.require_one()
    hold = ending == HOLD
    if sockets.latents is not None:
        if follow_motion:
            show(message("motion.needs_pictures"))
        return _latents(request, sockets.latents, strength, hold)
    if vae is None:
        raise ValueError(message("vae.needed"))
    encoder, clip, state = (
        StreamVAE(vae),
        footage(sockets.video, sockets.images, fps),
        request.state,
    )
    request, end = _measured(request, clip.px_frames, clip.text, hold)
    follows = MotionStrength(strength, follow_motion)
    height, width = state.height * SPACE_SCALE, state.width * SPACE_SCALE
    frames = fitted(clip.read(0), width, height, fit)
    request = request.with_companion(encoder.patcher, encoder.encoding_bytes(height, width))
    source_id = None
    if request.checkpoint_blocks:
        contents = f"{clip.identify()} {encoder.name}"
        source_id = f"{contents} {fit} {strength} {follow_motion} {ending} {fps}"

    def on_block(px: Tensor) -> None:
        # At strength 0 nothing else would notice Cancel.
        management.throw_exception_if_processing_interrupted()
        follows.push(px)

    def wan_encoder() -> WanEncoder:
        return WanEncoder(encoder.on_weights())

    source = encoded_blocks(wan_encoder, frames, state, hold, on_block)
    return replace(request, source=source, strength=follows, source_id=source_id), end


def show_strength(request: StreamRequest, follow_motion: float) -> None:
    """Say which strengths a finished render came to where they followed the motion."""
    if isinstance(request.strength, MotionStrength) and follow_motion:
        used = request.strength.used
        text = message("motion.followed", least=min(used), most=max(used))
        show(joined(request.note, text))


def _latents(
    request: StreamRequest, latent: dict[str, Tensor], strength: float, hold: bool
) -> tuple[StreamRequest, int]:
    """Footage that is encoded already."""
    latents = given_latents(request, latent)
    text, alone = "LATENT", TIME_SCALE - 1
    if request.state.blocks:
        # It stands for one px frame; within a stream every latent frame stands for four.
        latents, text, alone = latents[:, :, 1:], message("footage.latent_rest"), 0
    if not latents.shape[2]:
        raise ValueError(message("latent.too_short"))
    there = latents.shape[2] * TIME_SCALE - alone
    request, end = _measured(request, there, text, hold)
    source = _held(latents, (request.px_frames + alone) // TIME_SCALE)
    return replace(request, source=source, strength=strength), end


def _measured(
    request: StreamRequest, there: int, text: str, hold: bool
) -> tuple[StreamRequest, int]:
    """The request for as much of the footage as is taken, and px frames of the stream at its end.

    there: px frames of the footage.
    """
    state = request.state
    wanted = min(there, request.px_frames) if request.px_frames else there
    taken = whole_px(state, wanted, there, hold)
    ends = ""
    if taken > there:
        ends = message("footage.last_repeated", count=taken - there)
    elif taken < wanted:
        ends = message("footage.left_out", count=wanted - taken)
    note = joined(message("footage.read", footage=text), ends)
    return replace(request, px_frames=taken, note=note), state.px_frames + min(taken, there)


def _held(latents: Tensor, frames: int) -> Tensor:
    """Latents `[B, 16, T, h, w]` cut to `frames` latent frames, or filled up with the last one."""
    last = latents[:, :, -1:].expand(-1, -1, max(0, frames - latents.shape[2]), -1, -1)
    return torch.cat([latents[:, :, :frames], last], dim=2)
