"""Judge the Mini on prompts that training never saw, from the pixels of what it makes."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..media.vae import WanVAE
from ..media.wan_stream import WanDecoder
from ..mini.text_encoder import TextEncoder
from ..stream.recipe import Recipe
from ..stream.rollout import rollout, start
from .measure import Reading, psnr_db, read_clip
from .trainer import step_generator
from .world import ClipSpec, held_out_specs, render, sample_spec

log = logging.getLogger("causvid")

VAE_PX_FRAMES = 33
BATCH = 16


def evaluate_mini(
    model: nn.Module,
    vae: WanVAE,
    text: TextEncoder,
    recipe: Recipe,
    trained_latent_frames: int,
    prompts: int = 64,
    long_prompts: int = 16,
    seed: int = 1,
) -> dict[str, float]:
    """Figures between 0 and 1, and the VAE's PSNR in dB.

    shape, colour, direction: share of held-out prompts whose video shows what was asked for,
    over the trained length. colour_drift, size_drift: how far `long_prompts` of them move from
    the first trained length to the tenth, colour as a share of full brightness and size as a
    share of the radius; the mean and the worst.
    """
    specs = held_out_specs(prompts)
    long_blocks = 10 * trained_latent_frames // recipe.frames_per_block
    short_blocks = trained_latent_frames // recipe.frames_per_block
    figures = {"vae_psnr_db": vae_psnr(vae)}

    right = {"shape": 0, "colour": 0, "direction": 0}
    for chosen, px in _videos(model, vae, text, recipe, specs, short_blocks, seed):
        for spec, clip in zip(chosen, px, strict=True):
            reading = read_clip(clip)
            for name in right:
                right[name] += getattr(reading, name) == getattr(spec, name)
            log.info("%s: %s", spec.caption, reading)
    figures |= {name: count / len(specs) for name, count in right.items()}

    drifts: list[tuple[float, float]] = []
    long_specs = specs[:long_prompts]
    for _, px in _videos(model, vae, text, recipe, long_specs, long_blocks, seed):
        tenth = px.shape[2] // 10
        for clip in px:
            drifts.append(drift(read_clip(clip[:, :tenth]), read_clip(clip[:, -tenth:])))
    colour, size = torch.tensor(drifts).T
    return figures | {
        "colour_drift": float(colour.mean()),
        "size_drift": float(size.mean()),
        "worst_colour_drift": float(colour.max()),
        "worst_size_drift": float(size.max()),
    }


def vae_psnr(vae: WanVAE, clips: int = 32) -> float:
    """Mean PSNR in dB of clips that training never saw, encoded and decoded."""
    values = []
    for index in range(clips):
        spec = sample_spec(step_generator(99, index))
        px = render([spec], VAE_PX_FRAMES)
        with torch.inference_mode():
            values.append(psnr_db(vae.decode(vae.encode(px)), px))
    return sum(values) / len(values)


def drift(first: Reading, last: Reading) -> tuple[float, float]:
    """Of colour, as the largest change of a channel in 0..1, and of size, as a share."""
    colour = float((last.rgb - first.rgb).abs().max())
    return colour, abs(last.radius / max(first.radius, 1e-6) - 1)


def _videos(
    model: nn.Module,
    vae: WanVAE,
    text: TextEncoder,
    recipe: Recipe,
    specs: list[ClipSpec],
    blocks: int,
    seed: int,
    size: int = 8,
) -> Iterator[tuple[list[ClipSpec], Tensor]]:
    """Batches of specs with their videos `[B, 3, T, H, W]`; size is that of a latent frame."""
    for first in range(0, len(specs), BATCH):
        chosen = specs[first : first + BATCH]
        context = torch.cat([text.encode(spec.caption) for spec in chosen])
        state = start(recipe, model, height=size, width=size, batch=len(chosen), seed=seed + first)
        decoder = WanDecoder(vae)
        pieces = [
            decoder.decode(block.latents) for block in rollout(model, state, context, blocks=blocks)
        ]
        yield chosen, torch.cat(pieces, dim=2)
