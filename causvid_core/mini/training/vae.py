"""Train the Mini's VAE in Wan's format on 2 cores.

Three things make it cheap. Convolutions at the large resolutions keep only their last temporal
tap, which is Wan's format with zeros in the other two, and run frame by frame. Time is mixed where
frames are 8x8 latent pixels and in the convolutions that change the frame rate, which start as
copies of the frame before. Single frames come first and teach everything but motion.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ...media.vae import LATENT_MEAN, LATENT_STD, Z_DIM, WanVAE, channels_last
from ...media.vae_layers import CausalConv3d, TimeConv
from ..world import ClipSpec, generator_of, render, sample_spec
from .loop import Loop, optimizer, train

log = logging.getLogger("causvid")

# Layers whose inputs are small enough to look at three frames at once.
TEMPORAL = (
    "encoder.downsamples.9.",
    "encoder.downsamples.10.",
    "encoder.middle.",
    "encoder.head.",
    "decoder.conv1",
    "decoder.middle.",
    "decoder.upsamples.0.",
    "decoder.upsamples.1.",
    "decoder.upsamples.2.",
)
EPSILON = 1e-4
ADAM: dict[str, Any] = {"betas": (0.9, 0.99), "weight_decay": 0.0}
LATENT_NOISE = 0.1  # of the latents' unit scale: the decoder forgives what sampling leaves
DIM = 16
FRAME_STEPS, FRAME_BATCH = 2000, 8  # on single frames
CLIP_STEPS, CLIP_BATCH, CLIP_PX_FRAMES = 2600, 2, 9  # on clips
LEARNING_RATE = 8e-4
SEED = 0


def new_vae(dim: int) -> WanVAE:
    """A VAE that starts as an average in time and a per-frame autoencoder in space."""
    vae = WanVAE(dim)
    with torch.no_grad():
        for name, module in vae.named_modules():
            if isinstance(module, CausalConv3d) and module.kernel_size[0] > 1:
                module.spatial = not name.startswith(TEMPORAL)
                module.weight[:, :, :-1] = 0
                module.weight[:, :, -1] *= module.kernel_size[0] ** 0.5
            if isinstance(module, TimeConv):
                _start_as_copy(module)
            if name.endswith("residual.6"):
                module.weight.mul_(0.5)
                nn.init.zeros_(bias_of(module))
    return vae


def _start_as_copy(conv: TimeConv) -> None:
    """Down: the mean of the two newest frames. Up: each frame twice. Mutates the weights."""
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(bias_of(conv))
    one = torch.eye(conv.in_channels)
    if conv.stride[0] == 2:
        conv.weight[:, :, 1, 0, 0] = conv.weight[:, :, 2, 0, 0] = one / 2
    else:
        conv.weight[:, :, 2, 0, 0] = torch.cat([one, one])


def train_vae(folder: Path) -> dict[str, Tensor]:
    """Train, or resume, in `folder`; returns a state dict of the published format in float16."""
    torch.manual_seed(SEED)
    vae = new_vae(DIM)
    channels_last(vae)
    scale = LatentScale()

    def loss_of_step(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        single = step < FRAME_STEPS
        batch = FRAME_BATCH if single else CLIP_BATCH
        px = random_clips(batch, 1 if single else CLIP_PX_FRAMES, generator)
        with torch.autocast("cpu", torch.bfloat16):
            latents, _ = vae.conv1(vae.encoder(px * 2 - 1)).chunk(2, dim=1)
            latents = scale(latents.float(), of_batch=single)
            noise = torch.randn(latents.shape, generator=generator)
            out = vae.decoder(vae.conv2(latents + LATENT_NOISE * noise)).float() / 2 + 0.5
        error = out - px
        square, absolute = error.square().mean(), error.abs().mean()
        figures = {"psnr_db": -10 * torch.log10(square), "l1": absolute}
        return 4 * square + absolute, {k: float(v.detach()) for k, v in figures.items()}

    module = nn.ModuleDict({"vae": vae, "scale": scale})
    plan = Loop(FRAME_STEPS + CLIP_STEPS, optimizer(LEARNING_RATE, **ADAM), SEED)
    module.load_state_dict(train(module, loss_of_step, plan, folder / "vae"))
    scale.fold_into(vae)
    normalise_latents(vae.eval())
    return {k: v.half().contiguous() for k, v in vae.state_dict().items()}


class LatentScale(nn.Module):
    """Keeps latents at unit scale while they are learned; without it they shrink to nothing.

    A batch of single frames is varied enough for its own statistics; clips are too alike and use a
    running average. The statistics are parameters without gradients, so that they are averaged and
    saved with the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(1, Z_DIM, 1, 1, 1), requires_grad=False)
        self.std = nn.Parameter(torch.ones(1, Z_DIM, 1, 1, 1), requires_grad=False)

    def forward(self, latents: Tensor, of_batch: bool) -> Tensor:
        """`[B, 16, T, h, w]` to about zero mean and unit deviation. Mutates the averages."""
        std, mean = torch.std_mean(latents, dim=(0, 2, 3, 4), keepdim=True)
        self.mean.lerp_(mean.detach(), 0.02)
        self.std.lerp_(std.detach(), 0.02)
        if not of_batch:
            mean, std = self.mean.clone(), self.std.clone()
        return (latents - mean) / (std + EPSILON)

    @torch.no_grad()
    def fold_into(self, vae: WanVAE) -> None:
        """Move the scaling into the encoder's last convolution. Mutates `conv1`."""
        _rescale(vae.conv1, self.mean.flatten(), 1 / (self.std.flatten() + EPSILON))


def _rescale(conv: CausalConv3d, mean: Tensor, gain: Tensor) -> None:
    """Make a 1x1 convolution give `gain * (z - mean)` for its first channels z. Mutates it."""
    bias = bias_of(conv)
    conv.weight[:Z_DIM] *= rearrange(gain, "c -> c 1 1 1 1")
    bias[:Z_DIM] = (bias[:Z_DIM] - mean) * gain


def bias_of(conv: nn.Conv3d | nn.Conv2d) -> Tensor:
    """The bias, which all of Wan's convolutions have."""
    assert conv.bias is not None
    return conv.bias


def random_clips(batch: int, px_frames: int, generator: torch.Generator) -> Tensor:
    """Px frames `[B, 3, T, H, W]` of the world, all beginning at one random moment."""
    specs = [sample_spec(generator) for _ in range(batch)]
    return clips_of(specs, px_frames, generator)


def clips_of(specs: list[ClipSpec], px_frames: int, generator: torch.Generator) -> Tensor:
    """Px frames `[B, 3, T, H, W]` of clips, all beginning at one random moment."""
    start = int(torch.randint(64, (1,), generator=generator))
    clips = render(specs, px_frames, first_px_frame=start)
    return clips.contiguous(memory_format=torch.channels_last_3d)


@torch.no_grad()
def normalise_latents(vae: WanVAE, clips: int = 64) -> None:
    """Fold an affine map into the 1x1 convolutions so that Wan's normalisation gives unit latents.

    Mutates `conv1` and `conv2`; what the VAE reconstructs stays the same.
    """
    generator = generator_of(1, 0)
    raw = torch.cat(
        [vae.conv1(vae.encoder(random_clips(1, 17, generator) * 2 - 1)) for _ in range(clips)]
    )[:, :Z_DIM]
    std, mean = torch.std_mean(raw, dim=(0, 2, 3, 4))
    log.info("latents before folding: mean %.3f, std %.3f", float(mean.mean()), float(std.mean()))
    wanted_mean, wanted_std = torch.tensor(LATENT_MEAN), torch.tensor(LATENT_STD)
    gain = wanted_std / std
    # z' = gain (z - mean) + wanted_mean, undone at the entrance of the decoder.
    _rescale(vae.conv1, mean, gain)
    bias_of(vae.conv1)[:Z_DIM] += wanted_mean
    undone = vae.conv2.weight.clone()
    vae.conv2.weight.copy_(undone / rearrange(gain, "c -> 1 c 1 1 1"))
    bias_of(vae.conv2).add_(undone[:, :, 0, 0, 0] @ (mean - wanted_mean / gain))
