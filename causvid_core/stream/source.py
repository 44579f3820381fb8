"""How a block begins: from noise, or from a block of an input video with noise added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .noise import add_noise
from .schedule import Schedule
from .window import WindowPolicy

Strength = float | Callable[[int], float]
"""How much of the input is replaced, 0 to 1; for every block or strength(block_index)."""


class Opening(NamedTuple):
    """A block about to be denoised: noisy latents, the first step to take and its schedule.

    With no step left in the schedule the latents stay as they are.
    """

    latents: Tensor
    step: int
    schedule: Schedule


Opener = Callable[[int, Schedule, Callable[[int], Tensor]], "Opening | None"]
"""opener(block, schedule, fresh) -> how the block begins, or None when the input has ended;
fresh(step) gives the block's noise on the device."""


def from_noise(block: int, schedule: Schedule, fresh: Callable[[int], Tensor]) -> Opening:
    """Text to video: pure noise, all steps."""
    return Opening(fresh(0), 0, schedule)


def from_source(
    source: Tensor | Iterable[Tensor],
    strength: Strength,
    policy: WindowPolicy,
    first: int,
    blocks: int,
) -> Opener:
    """Video to video (SDEdit, arXiv 2108.01073): the input's blocks, noised to `strength`.

    source: latents [B or 1, 16, T, H, W] whose first frame belongs to block `first`, or an
    iterable of blocks, which is advanced once per block; the rollout ends where it ends. strength:
    the noise level that a block starts from, looked up after the block itself. At 0 the block is
    the input's, without a denoising step; at 1 nothing of the input remains. Raises ValueError for
    a strength out of range or a video that is too short.
    """
    strength_of = strength if callable(strength) else lambda block: strength
    if not callable(strength):
        _checked(strength)
    parts = _parts(source, policy, first, blocks)

    def opener(block: int, schedule: Schedule, fresh: Callable[[int], Tensor]) -> Opening | None:
        part = next(parts, None)
        if part is None:
            return None
        noise = fresh(0)
        if part.shape[:1] == (1,):
            part = part.expand(noise.shape[0], *part.shape[1:])
        if part.shape != noise.shape:
            raise ValueError(
                f"block {block} of the input video has shape {tuple(part.shape)}; expected "
                f"{tuple(noise.shape)}: (batch, channels, latent frames, height, width)"
            )
        level = _checked(strength_of(block))
        if level == 1:
            return from_noise(block, schedule, fresh)
        clean = part.to(noise.device, torch.float32, non_blocking=True)
        if level == 0:
            return Opening(clean, len(schedule.timesteps), schedule)
        step, schedule = schedule.begin_at(level)
        return Opening(add_noise(clean, noise, schedule.sigmas[step]), step, schedule)

    return opener


def _checked(strength: float) -> float:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}; expected a value from 0 to 1")
    return strength


def _parts(
    source: Tensor | Iterable[Tensor], policy: WindowPolicy, first: int, blocks: int
) -> Iterator[Tensor]:
    if not isinstance(source, Tensor):
        return iter(source)
    sizes = [policy.span(block).frames for block in range(first, first + blocks)]
    if source.ndim != 5 or source.shape[2] < sum(sizes):
        raise ValueError(
            f"the input video has shape {tuple(source.shape)}; {blocks} blocks need "
            f"{sum(sizes)} latent frames: (batch, channels, latent frames, height, width)"
        )
    return iter(torch.split(source[:, :, : sum(sizes)], sizes, dim=2))
