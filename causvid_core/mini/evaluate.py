"""Judge the Mini on prompts that training never saw, from the pixels of what it makes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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


SIDE = 8  # of a latent frame, in latent pixels

Make = Callable[[Sequence[str], int, int], Iterator[Tensor]]
"""make(prompts, frames, seed): videos of `frames` latent frames, in pieces [B, 16, t, h, w]."""


@dataclass(frozen=True)
class Streamed:
    """A causal model that streams by a recipe."""

    model: nn.Module
    text: TextEncoder
    recipe: Recipe

    def __call__(self, prompts: Sequence[str], frames: int, seed: int) -> Iterator[Tensor]:
        """See `Make`."""
        context = torch.cat([self.text.encode(prompt) for prompt in prompts])
        batch = len(prompts)
        state = start(self.recipe, self.model, height=SIDE, width=SIDE, batch=batch, seed=seed)
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

    def __call__(self, prompts: Sequence[str], frames: int, seed: int) -> Iterator[Tensor]:
        """See `Make`."""
        noise = seeded_noise(seed)(0, 0, (len(prompts), 16, frames, SIDE, SIDE))
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
    look: Callable[[ClipSpec, Tensor], object] = lambda spec, clip: None,
) -> dict[str, float]:
    """Figures of a model, shares between 0 and 1 unless they say otherwise.

    shape, colour, direction: how many of the held-out prompts get a video that shows what they ask
    for, over the trained length. overlap, jitter_px: means; see `Reading`. colour_drift,
    size_drift: how much the videos of `long_prompts` prompts change from the first trained length
    to the tenth, colour as a share of full brightness and size as a share of the radius; the mean
    and the worst, absent without long prompts. look: called with every video [3, T, H, W].
    """
    specs = held_out_specs(prompts)
    figures = dict.fromkeys(("shape", "colour", "direction", "overlap", "jitter_px"), 0.0)
    for spec, clip in videos(make, vae, specs, trained_latent_frames, seed):
        look(spec, clip)
        reading = read_clip(clip)
        for name in ("shape", "colour", "direction"):
            figures[name] += getattr(reading, name) == getattr(spec, name)
        figures["overlap"] += reading.overlap
        figures["jitter_px"] += reading.jitter
        log.info("%s: %s", spec.caption, reading)
    figures = {name: total / len(specs) for name, total in figures.items()}

    drifts: list[tuple[float, float]] = []
    for spec, clip in videos(make, vae, specs[:long_prompts], 10 * trained_latent_frames, seed):
        look(spec, clip)
        tenth = clip.shape[1] // 10
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
) -> Iterator[tuple[ClipSpec, Tensor]]:
    """Specs with their videos `[3, T, H, W]`, which are made in batches."""
    for first in range(0, len(specs), BATCH):
        chosen = specs[first : first + BATCH]
        decoder = WanDecoder(vae)
        pieces = make([spec.caption for spec in chosen], frames, seed + first)
        px = torch.cat([decoder.decode(piece) for piece in pieces], dim=2)
        yield from zip(chosen, px, strict=True)
