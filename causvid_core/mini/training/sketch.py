"""Train the net that sketches the Mini's video for the live view.

It learns to give the clips of the world back from their latents. A little noise in the latents
makes it forgive what sampling leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...media.sketch import SketchNet
from ...media.vae import TIME_SCALE, WanVAE
from ..world import render, sample_spec
from .trainer import TrainSettings, step_generator, train


@dataclass(frozen=True)
class SketchSettings:
    width: int = 96
    clips: int = 600
    clip_px_frames: int = 9
    steps: int = 8000
    batch: int = 8
    learning_rate: float = 2e-3
    latent_noise: float = 0.1  # of the latents' unit scale
    seed: int = 0


def train_sketch(settings: SketchSettings, vae: WanVAE, folder: Path) -> dict[str, Tensor]:
    """Train, or resume, in `folder`; returns the state dict in float16."""
    latents, px = _pairs(settings, vae)
    torch.manual_seed(settings.seed)
    net = SketchNet(settings.width)
    optimizer = torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=1e-4)

    def loss_of_step(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(latents), (settings.batch,), generator=generator)
        given, wanted = latents[chosen].float(), px[chosen].float() / 255
        noise = torch.randn(given.shape, generator=generator)
        # Zeros stand for what is before a video: they stay.
        given = torch.where(given == 0, given, given + settings.latent_noise * noise)
        error = net(*given.unbind(1)) - wanted
        square, absolute = error.square().mean(), error.abs().mean()
        edges = (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) / 2
        figures = {"psnr_db": float(-10 * torch.log10(square.detach()))}
        return 4 * square + absolute + edges, figures

    plan = TrainSettings(settings.steps, settings.seed, ema_decay=0.998, log_every=250)
    average = train(net, [optimizer], loss_of_step, plan, folder / "sketch.pt")
    return {name: weight.half().contiguous() for name, weight in average.items()}


@torch.no_grad()
def _pairs(settings: SketchSettings, vae: WanVAE) -> tuple[Tensor, Tensor]:
    """Every latent frame with the one before, [n, 2, 16, h, w] in float16, and its px frames,
    [n, 3, 4, H, W] in uint8. Of a first one, zeros are before, and the one px frame counts four
    times.
    """
    latents, px = [], []
    for clip in range(settings.clips):
        generator = step_generator(settings.seed + 7, clip)
        spec = sample_spec(generator, opening=clip % 2 == 1)
        start = int(torch.randint(64, (1,), generator=generator)) * (clip % 2 == 0)
        frames = render([spec], settings.clip_px_frames, first_px_frame=start)
        found = vae.encode(frames)[0].transpose(0, 1).half()  # [t, 16, h, w]
        latents.append(torch.stack([found, torch.cat([found[:1] * 0, found[:-1]])], dim=1))
        shown = torch.cat([frames[0, :, :1].expand(-1, TIME_SCALE - 1, -1, -1), frames[0]], dim=1)
        px.append((shown * 255).round().byte().unflatten(1, (-1, TIME_SCALE)).transpose(0, 1))
    return torch.cat(latents), torch.cat(px)
