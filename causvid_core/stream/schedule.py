"""Noise levels of the denoising steps, once per recipe.

Wan's flow matching: a table of `TABLE` noise levels, uniform before the shift; a timestep is a
noise level times `TABLE`, and its noise level is looked up by the nearest entry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

TABLE = 1000
_SAME = 0.5  # timesteps apart that count as the same level


class Schedule(NamedTuple):
    """Timestep and noise level (sigma) of every denoising step."""

    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]

    def begin_at(self, strength: float) -> tuple[int, Schedule]:
        """The step to begin with at a noise level of `strength`, and its schedule.

        A step of that very level is taken as it is. Otherwise the last step above it moves down
        to it, so that every strength is a noise level of its own and steps keep their numbers.
        """
        level, steps = strength * TABLE, len(self.timesteps)
        below = (n for n, timestep in enumerate(self.timesteps) if timestep <= level + _SAME)
        step = next(below, steps)
        if step < steps and (step == 0 or self.timesteps[step] >= level - _SAME):
            return step, self
        kept, step = slice(step, None), step - 1
        timesteps = (*self.timesteps[:step], level, *self.timesteps[kept])
        return step, Schedule(timesteps, (*self.sigmas[:step], strength, *self.sigmas[kept]))


Level = TypeVar("Level", float, "Tensor")


def shifted(sigma: Level, shift: float) -> Level:
    """Wan's timestep shift of noise levels in 0..1: shift * s / (1 + (shift - 1) * s).

    Stable Diffusion 3 (arXiv 2403.03206, section 5.3.2); a shift above 1 moves steps to more noise.
    """
    return shift * sigma / (1 + (shift - 1) * sigma)


@lru_cache(maxsize=64)
def make_schedule(timesteps: tuple[float, ...], shift: float, warp: bool) -> Schedule:
    """The schedule of `timesteps`; with `warp` they count entries of the shifted table instead."""
    import torch  # here, so that recipes and their names need no torch

    uniform = torch.linspace(1, 0, TABLE + 1)[:-1]  # in float32, like the systems that trained
    sigmas = shifted(uniform, shift)
    table = sigmas * TABLE
    if warp:
        timesteps = tuple(table[TABLE - round(timestep)].item() for timestep in timesteps)
    nearest = [(table - timestep).abs().argmin() for timestep in timesteps]
    return Schedule(timesteps, tuple(sigmas[entry].item() for entry in nearest))
