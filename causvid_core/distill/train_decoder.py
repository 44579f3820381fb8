"""Train the decoder of the Mini's VAE further, its latents left as they are.

Transformers trained on the latents stay valid, and without the encoder's gradients a step costs
half as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..media.vae import WanVAE
from .train_vae import random_clips
from .trainer import TrainSettings, train

DECODING = ("conv2.", "decoder.")


@dataclass(frozen=True)
class DecoderSettings:
    steps: int = 2500
    batch: int = 2
    clip_px_frames: int = 13
    learning_rate: float = 3e-4
    latent_noise: float = 0.05  # of the latents' unit scale, in every other batch
    seed: int = 7


def train_decoder(
    settings: DecoderSettings, weights: Mapping[str, Tensor], folder: Path
) -> dict[str, Tensor]:
    """Train, or resume, in `folder`, from a whole VAE's weights; returns them all in float16."""
    vae = WanVAE.from_state_dict(weights)
    learned = [p for name, p in vae.named_parameters() if name.startswith(DECODING)]
    for parameter in learned:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        learned, settings.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )

    def loss_of_step(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        px = random_clips(settings.batch, settings.clip_px_frames, generator)
        with torch.no_grad():
            latents = vae.encode(px)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = bool(torch.rand(1, generator=generator) < 0.5)
        out = vae.decode(latents + noisy * settings.latent_noise * noise, clamped=False)
        square, absolute = (out - px).square().mean(), (out - px).abs().mean()
        figures = {"psnr_db": float(-10 * torch.log10(square.detach()))}
        return 10 * square + 0.3 * absolute, figures

    plan = TrainSettings(settings.steps, settings.seed, warmup_steps=50, ema_decay=0.998)
    average = train(nn.ModuleDict({"vae": vae}), [optimizer], loss_of_step, plan,
                    folder / "decoder.pt")  # fmt: skip
    return {name.removeprefix("vae."): w.half().contiguous() for name, w in average.items()}
