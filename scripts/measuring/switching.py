"""How soon the picture follows a new prompt, in each switch mode."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from causvid_core.media.wan_stream import WanDecoder
from causvid_core.mini.world import ClipSpec
from causvid_core.stream.recipe import Recipe
from causvid_core.stream.rollout import Block, rollout, start
from causvid_core.stream.segment import SWITCHES

from .parts import Parts
from .rolling import SIZE, TRAITS, traits

BEFORE = ClipSpec("circle", "red", "medium", "left", None, "steadily", "navy", "plain")
AFTER = ClipSpec("square", "blue", "medium", "right", None, "steadily", "navy", "plain")
BLOCKS_BEFORE = 6  # twice the Mini's window
BLOCKS_AFTER = 12
FRESH = "a new stream"


class Settling(NamedTuple):
    """In each video, the first block, counted from 1 at the switch, from which a trait follows the
    new prompt to the end; None if it never does.
    """

    trait: str
    blocks: list[int | None]


def settled(right: Sequence[bool]) -> int | None:
    """The first position, from 1, from which all entries are true; None if the last is false."""
    wrong = [number for number, value in enumerate(right, 1) if not value]
    first = wrong[-1] + 1 if wrong else 1
    return first if first <= len(right) else None


@torch.inference_mode()
def measure_switches(
    parts: Parts, recipe: Recipe, videos: int = 16, seed: int = 0, blocks_after: int = BLOCKS_AFTER
) -> dict[str, list[Settling]]:
    """By mode, and for a new stream under the new prompt, each trait and all of them together.

    The videos differ in their noise. All modes continue the same stream.
    """
    old, new = parts.encode(BEFORE.caption), parts.encode(AFTER.caption)
    fresh = start(recipe, parts.model, height=SIZE, width=SIZE, batch=videos, seed=seed)
    decoder = WanDecoder(parts.vae)
    for block in rollout(parts.model, fresh, old, BLOCKS_BEFORE):
        decoder.decode(block.latents)
    shared, memory = block.state, decoder.memory

    def follow(blocks: Iterator[Block], decoder: WanDecoder) -> list[Settling]:
        return _settling([_right(decoder.decode(block.latents)) for block in blocks])

    found = {}
    for mode in SWITCHES:
        decoder.memory = memory
        found[mode] = follow(rollout(parts.model, shared, new, blocks_after, switch=mode), decoder)
    found[FRESH] = follow(rollout(parts.model, fresh, new, blocks_after), WanDecoder(parts.vae))
    return found


def table(found: dict[str, list[Settling]]) -> str:
    """Markdown: median and worst number of blocks, and in how many videos."""
    names = [settling.trait for settling in next(iter(found.values()))]
    lines = [f"| switch | {' | '.join(names)} |", f"| --- {'| ---: ' * len(names)}|"]
    for mode, columns in found.items():
        lines.append(f"| {mode} | {' | '.join(map(_cell, columns))} |")
    return "\n".join(lines)


def _right(px: Tensor) -> list[dict[str, bool]]:
    return [traits(clip, AFTER) for clip in px]


def _settling(blocks: list[list[dict[str, bool]]]) -> list[Settling]:
    """From the traits of every block's videos."""
    by_video = list(zip(*blocks, strict=True))
    settling = [
        Settling(name, [settled([block[name] for block in video]) for video in by_video])
        for name in TRAITS
    ]
    every = [settled([all(block.values()) for block in video]) for video in by_video]
    return [*settling, Settling("all", every)]


def _cell(settling: Settling) -> str:
    blocks = [block for block in settling.blocks if block is not None]
    counted = f"{len(blocks)} of {len(settling.blocks)}"
    if not blocks:
        return f"never ({counted})"
    suffix = "" if len(blocks) == len(settling.blocks) else f", {counted}"
    return f"{statistics.median_low(blocks)} (worst {max(blocks)}{suffix})"
