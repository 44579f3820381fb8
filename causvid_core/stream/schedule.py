"""Noise levels of the denoising steps, once per recipe.

Wan's flow matching: a table of `TABLE` noise levels, uniform before the shift; a timestep is a
noise level times `TABLE`, and its noise level is looked up by the nearest entry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch

TABLE = 1000


class Schedule(NamedTuple):
    """Timestep and noise level (sigma) of every denoising step."""

    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]

    def first_step(self, strength: float) -> int:
        """First step whose timestep does not exceed `strength` of the range; else the last."""
        limit = strength * TABLE
        steps = (step for step, timestep in enumerate(self.timesteps) if timestep <= limit)
        return next(steps, len(self.timesteps) - 1)


@lru_cache(maxsize=64)
def make_schedule(timesteps: tuple[float, ...], shift: float, warp: bool) -> Schedule:
    """The schedule of `timesteps`; with `warp` they count entries of the shifted table instead."""
    uniform = torch.linspace(1, 0, TABLE + 1)[:-1]  # in float32, like the systems that trained
    sigmas = shift * uniform / (1 + (shift - 1) * uniform)
    table = sigmas * TABLE
    if warp:
        timesteps = tuple(table[TABLE - round(timestep)].item() for timestep in timesteps)
    nearest = [(table - timestep).abs().argmin() for timestep in timesteps]
    return Schedule(timesteps, tuple(sigmas[entry].item() for entry in nearest))
