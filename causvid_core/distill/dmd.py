"""Distribution matching distillation, with an asymmetric pair: causal student, any teacher.

DMD (arXiv 2311.18828) and DMD2 (arXiv 2405.14867) as CausVid (arXiv 2412.07772, section 4.3) and
Self-Forcing (arXiv 2506.08009) use it. The teacher gives the real score and never learns; a
critic follows the student's distribution and gives the fake one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..stream.schedule import TABLE, Schedule
from .guidance import Conditioning, Guidance, guided_flow
from .network import Network, add_noise, by_frame, clean, flow_matching_loss, sigmas_of


class Sample(NamedTuple):
    """What the student made: x0 [B, 16, T, H, W], and the latent frames [B, T] that are its own
    doing, as booleans: the only ones with gradients.
    """

    x0: Tensor
    learned: Tensor


class Gradient(NamedTuple):
    """Where x0 has to go [B, 16, T, H, W], and how far apart the scores are, per sample [B]."""

    values: Tensor
    distance: Tensor


def draw_timesteps(
    generator: torch.Generator,
    batch: int,
    parts: int = 1,
    *,
    shift: float = 8.0,
    lowest: float = 20.0,
    highest: float = 980.0,
) -> Tensor:
    """Timesteps [B, parts] on the CPU: uniform, warped by the shift, clamped.

    One part a sample for a bidirectional teacher, one a block for a causal one.
    """
    uniform = torch.randint(TABLE, (batch, parts), generator=generator) / TABLE
    warped = shift * uniform / (1 + (shift - 1) * uniform)
    return (TABLE * warped).clamp(lowest, highest)


def sample_from_data(
    student: Network,
    latents: Tensor,
    noise: Tensor,
    schedule: Schedule,
    drawn: Tensor,
    conditioning: Conditioning,
) -> Sample:
    """The student's x0 from noised data, all blocks in one pass (CausVid's inputs).

    latents [B, 16, T, H, W] are noised to the student's noise level number drawn [B, blocks]
    (`ode.draw_states`), the number after the last being clean data: context, and not learned.
    """
    levels = torch.tensor((*schedule.timesteps, 0.0)), torch.tensor((*schedule.sigmas, 0.0))
    chosen = by_frame(drawn.to(latents.device), student.blocks(latents.shape[2]))
    timesteps, sigmas = (level.to(latents.device)[chosen] for level in levels)
    noisy = add_noise(latents.float(), noise, sigmas)
    x0 = student.x0(noisy, timesteps, conditioning, sigmas).float()
    return Sample(x0, timesteps > 0)


@torch.no_grad()
def matching_gradient(
    x0: Tensor,
    real: Network,
    fake: Network,
    noise: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
) -> Gradient:
    """Where the critic's and the teacher's estimates differ, for what the student made.

    x0 is noised to timesteps [B, parts], one part being all latent frames or a block. The
    difference (fake - real) is divided by the mean distance from x0 to the real estimate, sample
    by sample. Only the teacher is guided.
    """
    x0 = x0.detach().float()
    every = _every_frame(timesteps.to(x0.device), real if real.causal else fake, x0.shape[2])
    sigmas = sigmas_of(every)
    noisy = add_noise(x0, noise, sigmas)
    of_fake = clean(noisy, fake.flow(noisy, every, conditioning).float(), sigmas)
    guided = guided_flow(real, noisy, every, conditioning, guidance).float()
    of_real = clean(noisy, guided, sigmas)
    axes = tuple(range(1, x0.ndim))
    scale = (x0 - of_real).abs().mean(dim=axes, keepdim=True)
    values = torch.nan_to_num((of_fake - of_real) / scale)
    return Gradient(values, (of_fake - of_real).abs().mean(dim=axes))


def generator_loss(sample: Sample, gradient: Gradient) -> Tensor:
    """A loss whose gradient for x0 is the given one, over the number of learned values."""
    x0 = sample.x0.double() if sample.x0.device.type != "mps" else sample.x0.float()
    target = (x0 - gradient.values).detach()
    learned = sample.learned[:, None, :, None, None].to(x0.dtype)
    count = learned.sum() * (x0[0].numel() / x0.shape[2])
    return 0.5 * ((x0 - target).square() * learned).sum() / count.clamp(min=1)


def critic_loss(
    critic: Network, sample: Sample, noise: Tensor, timesteps: Tensor, conditioning: Conditioning
) -> Tensor:
    """Flow matching on what the student made, which gets no gradient; timesteps [B, parts]."""
    every = _every_frame(timesteps.to(sample.x0.device), critic, sample.x0.shape[2])
    return flow_matching_loss(critic, sample.x0.float(), noise, every, conditioning)


def _every_frame(timesteps: Tensor, network: Network, frames: int) -> Tensor:
    """[B, parts] as [B, T] or, for one part a sample, as it is."""
    return timesteps if timesteps.shape[1] == 1 else by_frame(timesteps, network.blocks(frames))
