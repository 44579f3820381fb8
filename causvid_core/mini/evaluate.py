"""Judge the Mini on prompts that training never saw, from the pixels of what it makes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..distill.conditioning import Conditioning
from ..distill.guidance import Guidance
from ..distill.network import Network
from ..distill.ode import trajectory
from ..media.vae import WanVAE
from ..media.wan_stream import WanDecoder
from ..stream.noise import seeded_noise
from ..stream.recipe import Recipe
from ..stream.rollout import rollout, start
from ..stream.window import WindowPolicy
from .measure import Reading, psnr_db, read_clip
from .text_encoder import TextEncoder
from .world import ClipSpec, generator_of, held_out_specs, render, sample_spec

log = logging.getLogger("causvid")

VAE_PX_FRAMES = 33
BATCH = 16


class Make(Protocol):
    """A model with its way of sampling."""

    def __call__(self, prompts: Sequence[str], frames: int, seed: int) -> Iterator[Tensor]:
        """Videos of `frames` latent frames, piece by piece: latents [B, 16, t, h, w]."""


@dataclass(frozen=True)
class Streamed:
    """A causal model that streams by a recipe; size is that of a latent frame."""

    model: nn.Module
    text: TextEncoder
    recipe: Recipe
    size: int = 8

    def __call__(self, prompts: Sequence[str], frames: int, seed: int) -> Iterator[Tensor]:
        """See `Make`."""
        context = torch.cat([self.text.encode(prompt) for prompt in prompts])
        size, batch = self.size, len(prompts)
        state = start(self.recipe, self.model, height=size, width=size, batch=batch, seed=seed)
        blocks = WindowPolicy.of(self.recipe).blocks_for(0, frames)
        for block in rollout(self.model, state, context, blocks=blocks):
            yield block.latents


@dataclass(frozen=True)
class Guided:
    """A teacher, or any model, in many steps under guidance; see `ode.trajectory`."""

    network: Network
    text: TextEncoder
    shift: float
    guidance_scale: float
    steps: int = 50
    size: int = 8

    def __call__(self, prompts: Sequence[str], frames: int, seed: int) -> Iterator[Tensor]:
        """See `Make`."""
        noise = seeded_noise(seed)(0, 0, (len(prompts), 16, frames, self.size, self.size))
        embedded = Conditioning.of([self.text.embed(prompt) for prompt in prompts])
        guidance = Guidance(self.guidance_scale, Conditioning.of([self.text.embed("")]))
        steps, shift = self.steps, self.shift
        yield trajectory(self.network, noise, embedded, guidance, steps=steps, shift=shift).end


def evaluate_mini(
    make: Make,
    vae: WanVAE,
    trained_latent_frames: int,
    prompts: int = 64,
    long_prompts: int = 16,
    seed: int = 1,
    look: Callable[[ClipSpec, Tensor], None] | None = None,
) -> dict[str, float]:
    """Figures of a model, shares between 0 and 1 unless they say otherwise.

    shape, colour, direction: how many of the held-out prompts get a video that shows what they ask
    for, over the trained length. overlap, jitter_px: means; see `Reading`. colour_drift,
    size_drift: how much the videos of `long_prompts` prompts change from the first trained length
    to the tenth, colour as a share of full brightness and size as a share of the radius; the mean
    and the worst, absent without long prompts. look: called with every video [3, T, H, W].
    """
    specs = held_out_specs(prompts)
    right = {"shape": 0, "colour": 0, "direction": 0}
    overlap, jitter = 0.0, 0.0
    for chosen, px in videos(make, vae, specs, trained_latent_frames, seed):
        for spec, clip in zip(chosen, px, strict=True):
            if look:
                look(spec, clip)
            reading = read_clip(clip)
            overlap, jitter = overlap + reading.overlap, jitter + reading.jitter
            for name in right:
                right[name] += getattr(reading, name) == getattr(spec, name)
            log.info("%s: %s", spec.caption, reading)
    figures = {name: count / len(specs) for name, count in right.items()}
    figures |= {"overlap": overlap / len(specs), "jitter_px": jitter / len(specs)}

    drifts: list[tuple[float, float]] = []
    for chosen, px in videos(make, vae, specs[:long_prompts], 10 * trained_latent_frames, seed):
        tenth = px.shape[2] // 10
        for spec, clip in zip(chosen, px, strict=True):
            if look:
                look(spec, clip)
            drifts.append(drift(read_clip(clip[:, :tenth]), read_clip(clip[:, -tenth:])))
    if not drifts:
        return figures
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
        spec = sample_spec(generator_of(99, index))
        px = render([spec], VAE_PX_FRAMES)
        with torch.inference_mode():
            values.append(psnr_db(vae.decode(vae.encode(px)), px))
    return sum(values) / len(values)


def drift(first: Reading, last: Reading) -> tuple[float, float]:
    """Drift of colour, the largest change of a channel in 0..1, and of size, as a share."""
    colour = float((last.rgb - first.rgb).abs().max())
    return colour, abs(last.radius / max(first.radius, 1e-6) - 1)


def videos(
    make: Make, vae: WanVAE, specs: Sequence[ClipSpec], frames: int, seed: int
) -> Iterator[tuple[Sequence[ClipSpec], Tensor]]:
    """Batches of specs with their videos `[B, 3, T, H, W]`."""
    for first in range(0, len(specs), BATCH):
        chosen = specs[first : first + BATCH]
        decoder = WanDecoder(vae)
        pieces = make([spec.caption for spec in chosen], frames, seed + first)
        yield chosen, torch.cat([decoder.decode(piece) for piece in pieces], dim=2)
