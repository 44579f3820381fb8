"""How a block begins: from noise, or from a noised block of an input video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from .plan import Plan
from .schedule import Schedule

Shape = Sequence[int]
Opening = Callable[[int, Schedule, Callable[[int], Tensor]], "tuple[Tensor, int] | None"]
"""opening(block, schedule, fresh) -> noisy latents and the step to begin with, or None at the
end of the input; fresh(step) gives the block's noise on the device."""


def from_noise(
    block: int, schedule: Schedule, fresh: Callable[[int], Tensor]
) -> tuple[Tensor, int]:
    """Text to video: pure noise, all steps."""
    return fresh(0), 0


def from_source(
    source: Tensor | Iterable[Tensor], strength: float, plan: Plan, first: int, blocks: int
) -> Opening:
    """Video to video (SDEdit, arXiv 2108.01073): the input's blocks, noised to `strength`.

    source: latents [B, 16, T, H, W] whose first frame belongs to block `first`, or an iterable
    of blocks. strength in (0, 1]: steps whose timestep exceeds strength * 1000 are skipped; at 1
    nothing of the input remains. Raises ValueError for a strength out of range or a video that
    is too short.
    """
    if not 0 < strength <= 1:
        raise ValueError(f"strength is {strength}; expected a value above 0 and up to 1")
    parts = _parts(source, plan, first, blocks)

    def opening(
        block: int, schedule: Schedule, fresh: Callable[[int], Tensor]
    ) -> tuple[Tensor, int] | None:
        part = next(parts, None)
        if part is None:
            return None
        noise = fresh(0)
        if part.shape != noise.shape:
            raise ValueError(
                f"block {block} of the input video has shape {tuple(part.shape)}; expected "
                f"{tuple(noise.shape)}: (batch, channels, latent frames, height, width)"
            )
        step = schedule.first_step(strength)
        clean = part.to(noise.device, torch.float32, non_blocking=True)
        sigma = schedule.sigmas[step]
        return sigma * noise + (1 - sigma) * clean, step

    return opening


def _parts(
    source: Tensor | Iterable[Tensor], plan: Plan, first: int, blocks: int
) -> Iterator[Tensor]:
    if not isinstance(source, Tensor):
        return iter(source)
    sizes = [plan.span(block).frames for block in range(first, first + blocks)]
    if source.ndim != 5 or source.shape[2] < sum(sizes):
        raise ValueError(
            f"the input video has shape {tuple(source.shape)}; {blocks} blocks need "
            f"{sum(sizes)} latent frames: (batch, channels, latent frames, height, width)"
        )
    return iter(source[:, :, : sum(sizes)].split(sizes, dim=2))
