"""How soon a new prompt rules, by the mode of the switch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from causvid_core.distill.world import ClipSpec
from causvid_core.media.wan_stream import WanDecoder
from causvid_core.stream.recipe import Recipe
from causvid_core.stream.rollout import Block, rollout, start
from causvid_core.stream.scene import SWITCHES

from .parts import Parts
from .rolling import SIZE, TRAITS, traits

BEFORE = ClipSpec("circle", "red", "medium", "left", None, "steadily", "navy", "plain")
AFTER = ClipSpec("square", "blue", "medium", "right", None, "steadily", "navy", "plain")
BLOCKS_BEFORE = 6  # twice the Mini's window
BLOCKS_AFTER = 12
FRESH = "a new stream"


class Taken(NamedTuple):
    """From which block on, counted from 1 at the switch, a trait was as the new prompt asks and
    stayed so to the end, in each video; None where it never was.
    """

    trait: str
    blocks: list[int | None]

    @property
    def times(self) -> int:
        """Videos in which the prompt came to rule."""
        return sum(block is not None for block in self.blocks)


def settled(right: Sequence[bool]) -> int | None:
    """Number, from 1, of the first entry from which on all are true; None if the last is not."""
    wrong = [number for number, value in enumerate(right, 1) if not value]
    first = wrong[-1] + 1 if wrong else 1
    return first if first <= len(right) else None


@torch.inference_mode()
def measure_switches(
    parts: Parts, recipe: Recipe, videos: int = 16, seed: int = 0, blocks_after: int = BLOCKS_AFTER
) -> dict[str, list[Taken]]:
    """By mode, and for a stream that has had the new prompt alone, each trait and all together.

    The videos differ in their noise. All modes continue one and the same stream.
    """
    old, new = parts.encode(BEFORE.caption), parts.encode(AFTER.caption)
    fresh = start(recipe, parts.model, height=SIZE, width=SIZE, batch=videos, seed=seed)
    decoder = WanDecoder(parts.vae)
    for block in rollout(parts.model, fresh, old, BLOCKS_BEFORE):
        decoder.decode(block.latents)
    shared, memory = block.state, decoder.memory

    def follow(blocks: Iterator[Block], begun: WanDecoder) -> list[Taken]:
        return _taken([_right(begun.decode(block.latents)) for block in blocks])

    found = {}
    for mode in SWITCHES:
        decoder.memory = memory
        found[mode] = follow(rollout(parts.model, shared, new, blocks_after, switch=mode), decoder)
    found[FRESH] = follow(rollout(parts.model, fresh, new, blocks_after), WanDecoder(parts.vae))
    return found


def table(found: dict[str, list[Taken]]) -> str:
    """Markdown: median and worst number of blocks, and in how many videos."""
    names = [taken.trait for taken in next(iter(found.values()))]
    lines = [f"| switch | {' | '.join(names)} |", f"| --- {'| ---: ' * len(names)}|"]
    for mode, columns in found.items():
        lines.append(f"| {mode} | {' | '.join(map(_cell, columns))} |")
    return "\n".join(lines)


def _right(px: Tensor) -> list[dict[str, bool]]:
    return [traits(clip, AFTER) for clip in px]


def _taken(blocks: list[list[dict[str, bool]]]) -> list[Taken]:
    """From the traits of every block's videos."""
    by_video = list(zip(*blocks, strict=True))
    taken = [
        Taken(name, [settled([block[name] for block in video]) for video in by_video])
        for name in TRAITS
    ]
    every = [settled([all(block.values()) for block in video]) for video in by_video]
    return [*taken, Taken("all", every)]


def _cell(taken: Taken) -> str:
    if not taken.times:
        return f"never (0 of {len(taken.blocks)})"
    blocks = [block for block in taken.blocks if block is not None]
    middle = statistics.median_low(blocks)
    counted = "" if taken.times == len(taken.blocks) else f", {taken.times} of {len(taken.blocks)}"
    return f"{middle} (worst {max(blocks)}{counted})"
