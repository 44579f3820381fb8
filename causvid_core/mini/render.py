"""A video from a prompt with the Mini, without ComfyUI: rolled out, decoded and written at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ..media.vae import WanVAE
from ..media.video import contact_sheet, write_mp4
from ..media.wan_stream import WanDecoder
from ..model.checkpoints import load_model
from ..stream.geometry import (
    FPS,
    latent_frames_from_px,
    latent_size_from_px,
    px_frames_from_seconds,
)
from ..stream.plan import Plan
from ..stream.presets import presets
from ..stream.rollout import rollout, start
from . import weights_path
from .text_encoder import TextEncoder

SHEET_FRAMES = 18


def render(
    prompt: str,
    out: Path,
    *,
    seconds: float = 4.0,
    seed: int = 0,
    recipe: str = "causvid-mini",
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    scale: int = 4,
    sheet: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write `seconds` of video to the mp4 file `out`; returns its px frames.

    Frames are decoded and written block by block, so memory does not grow with the length.
    `sheet` receives a picture of evenly chosen frames, `progress` the px frames done and in all.
    Raises ValueError in words for an artist.
    """
    if recipe not in presets:
        raise ValueError(f"there is no recipe {recipe!r}; known are {', '.join(presets)}")
    px_frames = px_frames_from_seconds(seconds)
    chosen = {round(i * (px_frames - 1) / (SHEET_FRAMES - 1)) for i in range(SHEET_FRAMES)}
    kept: list[Tensor] = []

    def counted() -> Iterator[Tensor]:
        frames = stream_frames(
            prompt, px_frames, seed=seed, recipe=recipe, checkpoint=checkpoint, device=device
        )
        for number, frame in enumerate(frames):
            if sheet is not None and number in chosen:
                kept.append(frame)
            yield frame
            if progress is not None:
                progress(number + 1, px_frames)

    out.parent.mkdir(parents=True, exist_ok=True)
    written = write_mp4(out, counted(), FPS, scale=scale, metadata={"comment": prompt})
    if sheet is not None:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(kept).save(sheet)
    return written


def stream_frames(
    prompt: str,
    px_frames: int,
    *,
    seed: int = 0,
    recipe: str = "causvid-mini",
    checkpoint: str | Path | None = None,
    device: str = "cpu",
) -> Iterator[Tensor]:
    """Px frames `[H, W, 3]` in 0..1 on the CPU, each as soon as its block is done."""
    preset = presets[recipe]
    model = load_model(checkpoint or weights_path("dit"), device=device)
    vae = WanVAE.from_state_dict(load_file(weights_path("vae"))).to(device)
    context = TextEncoder.load().encode(prompt).to(device)
    height, width = latent_size_from_px(64), latent_size_from_px(64)
    state = start(preset.recipe, model, height=height, width=width, seed=seed)
    decoder = WanDecoder(vae)
    left = px_frames
    blocks = Plan.of(preset.recipe).blocks_for(0, latent_frames_from_px(px_frames))
    for block in rollout(model, state, context, blocks=blocks):
        frames = decoder.decode(block.latents)[0].permute(1, 2, 3, 0).cpu()
        yield from frames[:left]
        left -= min(left, len(frames))
