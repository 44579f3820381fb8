"""Distribution matching distillation of a causal student by any teacher.

DMD (arXiv 2311.18828) and DMD2 (arXiv 2405.14867) as CausVid (arXiv 2412.07772, section 4.3) and
Self-Forcing (arXiv 2506.08009) use it. The teacher gives the real score and never learns; a
critic follows the student's distribution and gives the fake score.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..stream.schedule import TABLE, Schedule, shifted
from .conditioning import Conditioning
from .guidance import Guidance, guided_flow
from .network import (
    Network,
    add_noise,
    by_frame,
    flow_matching_loss,
    levels_of,
    mean_square,
    x0_from_flow,
)


class Sample(NamedTuple):
    """The student's x0 [B, 16, T, H, W], and the latent frames [B, T] that it learns from."""

    x0: Tensor
    loss_mask: Tensor


class Gradient(NamedTuple):
    """The gradient for x0 [B, 16, T, H, W], and the distance between the scores, a sample [B]."""

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
    """Timesteps [B, parts] on the CPU: uniform, shifted, clamped.

    A bidirectional teacher has one part a sample, a causal one a part a block.
    """
    uniform = torch.randint(TABLE, (batch, parts), generator=generator) / TABLE
    return (TABLE * shifted(uniform, shift)).clamp(lowest, highest)


def sample_from_data(
    student: Network,
    latents: Tensor,
    noise: Tensor,
    schedule: Schedule,
    drawn: Tensor,
    conditioning: Conditioning,
) -> Sample:
    """The student's x0 from noised data, all blocks in one pass (CausVid's inputs).

    latents [B, 16, T, H, W] are noised to the level of the student's schedule that `drawn`
    [B, blocks] names (`ode.draw_states`). The level after the last is clean: context, without loss.
    """
    drawn = drawn.to(latents.device)
    _, timesteps, sigmas = levels_of(schedule, drawn, student.blocks(latents.shape[2]))
    noisy = add_noise(latents.float(), noise, sigmas)
    x0 = x0_from_flow(noisy, student.flow(noisy, timesteps, conditioning), sigmas)
    return Sample(x0.float(), timesteps > 0)


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
    """How critic and teacher differ in their estimates for the student's samples x0.

    x0 is noised to timesteps [B, parts], a part being the whole clip or a block. The difference
    (fake - real) is divided by the mean distance from x0 to the real estimate, sample by sample.
    Only the teacher is guided.
    """
    x0 = x0.detach().float()
    every = _every_frame(timesteps.to(x0.device), real if real.causal else fake, x0.shape[2])
    sigmas = every / TABLE
    noisy = add_noise(x0, noise, sigmas)
    of_fake = x0_from_flow(noisy, fake.flow(noisy, every, conditioning).float(), sigmas)
    guided = guided_flow(real, noisy, every, conditioning, guidance).float()
    of_real = x0_from_flow(noisy, guided, sigmas)
    axes = tuple(range(1, x0.ndim))
    scale = (x0 - of_real).abs().mean(dim=axes, keepdim=True)
    values = torch.nan_to_num((of_fake - of_real) / scale)
    return Gradient(values, (of_fake - of_real).abs().mean(dim=axes))


def generator_loss(sample: Sample, gradient: Gradient) -> Tensor:
    """A loss with the given gradient for x0, divided by the number of values that learn."""
    x0 = sample.x0.double() if sample.x0.device.type != "mps" else sample.x0.float()
    target = (x0 - gradient.values).detach()
    return 0.5 * mean_square(x0 - target, sample.loss_mask)


def critic_loss(
    critic: Network, sample: Sample, noise: Tensor, timesteps: Tensor, conditioning: Conditioning
) -> Tensor:
    """Flow matching on the student's samples, which get no gradient; timesteps [B, parts]."""
    every = _every_frame(timesteps.to(sample.x0.device), critic, sample.x0.shape[2])
    return flow_matching_loss(critic, sample.x0.float(), noise, every, conditioning)


def _every_frame(timesteps: Tensor, network: Network, frames: int) -> Tensor:
    """[B, parts] as [B, T], or unchanged with one part a sample."""
    return timesteps if timesteps.shape[1] == 1 else by_frame(timesteps, network.blocks(frames))
