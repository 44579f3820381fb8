"""Long streams, one for each window policy, measured block by block."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from causvid_core.media.wan_stream import WanDecoder
from causvid_core.mini.measure import read_clip
from causvid_core.mini.world import ClipSpec
from causvid_core.stream.presets import recipes
from causvid_core.stream.recipe import Recipe
from causvid_core.stream.rollout import rollout, start

from .parts import Parts, held_bytes
from .steadiness import MEASURES, Drift, drift, jumps, lost_at, measure

PLACES = (132, 201, 1024)  # latent frames at which published systems collapsed or ended
TRAITS = ("colour", "direction", "shape")
MEMORY_EVERY = 10  # blocks
SIZE = 8  # of a latent frame, in height and width
_MINI = recipes["causvid-mini"]

POLICIES: Mapping[str, Recipe] = MappingProxyType(
    {
        "relative": _MINI,
        "relative, 3 sinks": replace(_MINI, sink=3),
        "absolute, 3 sinks": replace(_MINI, sink=3, positions="absolute"),
        "absolute (Self-Forcing's rolling window)": replace(_MINI, positions="absolute"),
    }
)


class Run(NamedTuple):
    """A batch of videos with one window policy, one for each prompt.

    series: `MEASURES` [blocks, prompts, 9]. seconds: CPU time of each block. held: resident bytes
    of the process, every `MEMORY_EVERY` blocks. history: bytes of the clean latents that the
    stream holds at the end. right: by trait, the share of blocks in the last tenth that show what
    the prompt asks for.
    """

    recipe: Recipe
    series: Tensor
    seconds: list[float]
    held: list[int]
    history: int
    right: dict[str, float]

    def to_plain(self) -> tuple[object, ...]:
        """Plain values for another process; a tensor's shared memory would end with this one."""
        return self.recipe, self.series.tolist(), *self[2:]

    @classmethod
    def from_plain(cls, recipe: Recipe, series: list[Any], *others: Any) -> Run:
        """The inverse of `to_plain`."""
        return cls(recipe, torch.tensor(series), *others)

    @property
    def drifts(self) -> list[Drift]:
        """The drift of each video."""
        return [drift(video) for video in self.series.unbind(1)]

    @property
    def jumps(self) -> Tensor:
        """The largest jump of all videos at each block [blocks]; NaN at both ends."""
        return torch.stack([jumps(video) for video in self.series.unbind(1)]).amax(dim=0)

    def jump_at(self, latent_frame: int) -> float | None:
        """The largest jump around a latent frame; None if the videos are too short."""
        block = latent_frame // self.recipe.frames_per_block
        near = self.jumps[max(0, block - 1) : block + 3]
        near = near[~near.isnan()]
        return float(near.max()) if len(near) else None

    @property
    def lost(self) -> list[int | None]:
        """Latent frame at which each video lost its shape, or None."""
        blocks = [lost_at(video) for video in self.series.unbind(1)]
        return [None if b is None else b * self.recipe.frames_per_block for b in blocks]


@torch.inference_mode()
def roll(
    parts: Parts,
    recipe: Recipe,
    specs: Sequence[ClipSpec],
    latent_frames: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda block, blocks: None,
) -> Run:
    """Roll out, decode and measure `latent_frames`, rounded down to whole blocks.

    Keeps only the history of the stream and a few numbers per block. progress: called with the
    number of finished blocks and of all blocks.
    """
    blocks = latent_frames // recipe.frames_per_block
    context = torch.cat([parts.encode(spec.caption) for spec in specs])
    state = start(recipe, parts.model, height=SIZE, width=SIZE, batch=len(specs), seed=seed)
    decoder = WanDecoder(parts.vae)
    series, seconds, held, right, history = [], [], [], [], 0
    started = time.process_time()
    for block in rollout(parts.model, state, context, blocks):
        px = decoder.decode(block.latents)
        seconds.append(time.process_time() - started)
        series.append(measure(px).tolist())
        if block.index >= blocks - max(1, blocks // 10):
            right += [traits(clip, spec) for clip, spec in zip(px, specs, strict=True)]
        history += block.latents.nbytes
        if block.index % MEMORY_EVERY == 0:  # returning memory to the system takes time
            held.append(held_bytes())
        progress(block.index + 1, blocks)
        started = time.process_time()
    shares = {name: sum(one[name] for one in right) / len(right) for name in TRAITS}
    return Run(recipe, torch.tensor(series), seconds, held, history, shares)


def traits(px: Tensor, spec: ClipSpec) -> dict[str, bool]:
    """For each trait, whether a clip [3, T, H, W] shows what its prompt asks for."""
    reading = read_clip(px)
    return {name: getattr(reading, name) == getattr(spec, name) for name in TRAITS}


def as_json(run: Run) -> dict[str, object]:
    """Plain values of all tables and the figure; series are means over the prompts."""
    digits = [[float(f"{value:.4g}") for value in row] for row in run.series.mean(1).tolist()]
    return {
        "recipe": run.recipe.to_dict(),
        "drift": [one._asdict() for one in run.drifts],
        "right_in_the_last_tenth": run.right,
        "lost_at_latent_frame": run.lost,
        "jumps": {str(place): run.jump_at(place) for place in PLACES},
        "largest_jump": float(run.jumps.nan_to_num(0).max()),
        "cpu_seconds": [round(value, 5) for value in run.seconds],
        "held_bytes": run.held,
        "history_bytes": run.history,
        "measures": list(MEASURES),
        "series": digits,
    }
