"""Train the net that sketches the Mini's video for the live view.

It learns to decode the world's clips. A little noise in the latents makes it robust to what
sampling leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from ...media.sketch import SketchNet
from ...media.vae import TIME_SCALE, WanVAE
from ..world import generator_of, render, sample_spec
from .loop import Loop, optimizer, train


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

    def loss_of_step(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(latents), (settings.batch,), generator=generator)
        given, wanted = latents[chosen].float(), px[chosen].float() / 255
        noise = torch.randn(given.shape, generator=generator)
        # Zeros stand for the frame before a video's first: they get no noise.
        given = torch.where(given == 0, given, given + settings.latent_noise * noise)
        error = net(*given.unbind(1)) - wanted
        square, absolute = error.square().mean(), error.abs().mean()
        edges = (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) / 2
        figures = {"psnr_db": float(-10 * torch.log10(square.detach()))}
        return 4 * square + absolute + edges, figures

    adam = optimizer(settings.learning_rate, weight_decay=1e-4)
    plan = Loop(settings.steps, adam, settings.seed, ema_decay=0.998, log_every=250)
    average = train(net, loss_of_step, plan, folder / "sketch")
    return {name: weight.half().contiguous() for name, weight in average.items()}


@torch.no_grad()
def _pairs(settings: SketchSettings, vae: WanVAE) -> tuple[Tensor, Tensor]:
    """Latent frames, each with the one before, [n, 2, 16, h, w] in float16, and px [n, 3, 4, H, W].

    The px frames are uint8. A first latent frame has zeros before it, and its one px frame is
    repeated four times.
    """
    latents, px = [], []
    for clip in range(settings.clips):
        generator = generator_of(settings.seed + 7, clip)
        spec = sample_spec(generator, opening=clip % 2 == 1)
        start = int(torch.randint(64, (1,), generator=generator)) * (clip % 2 == 0)
        frames = render([spec], settings.clip_px_frames, first_px_frame=start)
        found = rearrange(vae.encode(frames), "1 c t h w -> t c h w").half()
        latents.append(torch.stack([found, torch.cat([found[:1] * 0, found[:-1]])], dim=1))
        shown = torch.cat([frames[0, :, :1].expand(-1, TIME_SCALE - 1, -1, -1), frames[0]], dim=1)
        px.append(rearrange((shown * 255).round().byte(), "c (t n) h w -> t c n h w", n=TIME_SCALE))
    return torch.cat(latents), torch.cat(px)
