"""`Recipe`: everything that decides how a checkpoint is sampled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .bounds import MOST_TIMESTEPS, real, truth, whole
from .schedule import TABLE, Schedule, make_schedule

POSITIONS = ("absolute", "relative")


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint is sampled; frozen and checked.

    timesteps: denoising steps, falling from at most 1000; the 0 that published lists end with
        is left out.
    warp: the timesteps are entries of the table after the shift (Self-Forcing's lists).
    shift: Wan's timestep shift.
    frames_per_block: latent frames denoised together.
    first_block_frames: the same for the first block, where it differs.
    window: latent frames a block may attend to, itself and the sinks included; None keeps all.
    sink: first latent frames that stay when others leave the window.
    positions: "absolute" (as trained) or "relative" (never beyond the window; for long streams).
    context_timestep: timestep of the clean pass.
    first_block_timesteps: timesteps of the first block, where they differ.
    """

    timesteps: tuple[float, ...] = (1000, 757, 522)
    warp: bool = False
    shift: float = 8.0
    frames_per_block: int = 3
    first_block_frames: int | None = None
    window: int | None = None
    sink: int = 0
    positions: str = "absolute"
    context_timestep: float = 0
    first_block_timesteps: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "warp": truth("warp", self.warp),
            "shift": real("shift", self.shift),
            "sink": whole("sink", self.sink, 0),
            "context_timestep": real("context_timestep", self.context_timestep),
        }
        for name in ("timesteps", "first_block_timesteps"):
            if name == "timesteps" or self.first_block_timesteps is not None:
                checked[name] = _checked_timesteps(getattr(self, name))
        if self.frames_per_block is None:
            raise ValueError("frames_per_block is missing; published checkpoints use 3 or 1")
        for name in ("frames_per_block", "first_block_frames", "window"):
            if getattr(self, name) is not None:
                checked[name] = whole(name, getattr(self, name), 1)
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not self.shift > 0:
            raise ValueError(f"shift is {self.shift}; it must be positive (Wan uses 3 to 8)")
        largest = max(self.frames_per_block, self.first_block_frames or 0)
        if self.window is not None and self.window < largest + self.sink:
            raise ValueError(
                f"a window of {self.window} latent frames cannot hold a block of {largest} and "
                f"{self.sink} sink frames; make it at least {largest + self.sink}"
            )
        if self.positions not in POSITIONS:
            raise ValueError(
                f"positions is {self.positions!r:.80}; choose 'absolute' or 'relative'"
            )
        if not 0 <= self.context_timestep <= TABLE:
            raise ValueError(f"context_timestep is {self.context_timestep}; expected 0 to {TABLE}")

    def schedule(self, block: int) -> Schedule:
        """Timesteps and noise levels of block `block` of a stream."""
        first = block == 0 and self.first_block_timesteps is not None
        timesteps = self.first_block_timesteps if first else self.timesteps
        return make_schedule(timesteps, self.shift, self.warp)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_dict`. ValueError for a value that no recipe has."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(
                f"the recipe has a value named {unknown[0]!r}, which this version does not know; "
                f"it knows {', '.join(sorted(known))}"
            )
        return cls(**values)


def _checked_timesteps(values: Any) -> tuple[float, ...]:
    try:
        timesteps = tuple(float(real("a timestep", value)) for value in values)
    except (TypeError, ValueError):
        raise ValueError(
            f"timesteps are {values!r:.80}; expected numbers such as 1000, 757, 522"
        ) from None
    if len(timesteps) > MOST_TIMESTEPS:
        raise ValueError(f"there are {len(timesteps):,} timesteps; give at most {MOST_TIMESTEPS:,}")
    if not timesteps:
        raise ValueError("timesteps are empty; give at least one, such as 1000")
    if not 0 < timesteps[-1] or not timesteps[0] <= TABLE:
        raise ValueError(
            f"timesteps run from {timesteps[0]:g} to {timesteps[-1]:g}; expected values above 0 "
            f"and up to {TABLE} (leave out a final 0)"
        )
    if any(later >= earlier for earlier, later in zip(timesteps, timesteps[1:], strict=False)):
        raise ValueError(f"timesteps {timesteps!s:.80} must fall from step to step")
    return timesteps
