"""Train the decoder of the Mini's VAE further, without changing its latents.

Transformers trained on the latents stay valid, and without the encoder's gradients a step costs
half as much. The last part of the training is for details of few pixels: small shapes, above all
stars and crosses, whose arms would melt into blobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ...media.vae import WanVAE
from ..measure import foreground, psnr_db
from ..world import sample_spec
from .loop import Loop, optimizer, train
from .vae import ADAM, clips_of, random_clips

DECODING = ("conv2.", "decoder.")


@dataclass(frozen=True)
class DecoderSettings:
    """detail_steps: the last steps, on short clips of details, with the shapes weighted."""

    steps: int = 4000
    detail_steps: int = 1500
    batch: int = 2
    clip_px_frames: int = 13
    detail_batch: int = 4
    detail_px_frames: int = 5
    shape_weight: float = 8.0  # of a pixel at or near a shape, in details; 1 elsewhere
    learning_rate: float = 3e-4
    latent_noise: float = 0.05  # of the latents' unit scale, in every other batch
    seed: int = 7


def train_decoder(
    settings: DecoderSettings, weights: Mapping[str, Tensor], folder: Path
) -> dict[str, Tensor]:
    """Train, or resume, in `folder`, from a whole VAE's weights; returns them all in float16."""
    vae = WanVAE.from_state_dict(weights)
    for name, parameter in vae.named_parameters():
        parameter.requires_grad_(name.startswith(DECODING))

    def loss_of_step(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        detailed = step >= settings.steps - settings.detail_steps
        if detailed:
            px = _details(settings, generator)
        else:
            px = random_clips(settings.batch, settings.clip_px_frames, generator)
        with torch.no_grad():
            latents = vae.encode(px)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = bool(torch.rand(1, generator=generator) < 0.5)
        out = vae.decode(latents + noisy * settings.latent_noise * noise, clamped=False)
        weight = near_shapes(px, settings.shape_weight) if detailed else torch.ones(())
        square = (weight * (out - px).square()).mean() / weight.mean()
        absolute = (weight * (out - px).abs()).mean() / weight.mean()
        return 10 * square + 0.3 * absolute, {"psnr_db": psnr_db(out.detach(), px)}

    adam = optimizer(settings.learning_rate, warmup_steps=50, **ADAM)
    plan = Loop(settings.steps, adam, settings.seed, ema_decay=0.998)
    average = train(vae, loss_of_step, plan, folder / "decoder")
    return {name: weight.half().contiguous() for name, weight in average.items()}


def _details(settings: DecoderSettings, generator: torch.Generator) -> Tensor:
    """Clips, every second one of a small star or cross."""
    specs = [sample_spec(generator) for _ in range(settings.detail_batch)]
    for number in range(0, len(specs), 2):
        star = bool(torch.rand(1, generator=generator) < 0.5)
        specs[number] = replace(specs[number], size="small", shape="star" if star else "cross")
    return clips_of(specs, settings.detail_px_frames, generator)


def near_shapes(px: Tensor, most: float) -> Tensor:
    """Weights [B, 1, T, H, W] of pixels: `most` within 2 px of a shape, 1 elsewhere."""
    cover = torch.stack([foreground(clip) for clip in px])
    near = nn.functional.max_pool2d(cover, 5, stride=1, padding=2).unsqueeze(1)
    return 1 + (most - 1) * near
