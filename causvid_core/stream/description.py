"""What a stream holds, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from . import geometry
from .presets import recipes
from .recipe import Recipe
from .segment import CARRY, starts_afresh
from .state import StreamState

_MOST_LINES = 40


class PromptRun(NamedTuple):
    """Consecutive blocks of one prompt; prompts are numbered as they first appear."""

    first: int
    last: int
    prompt: int
    tokens: int
    switch: str


def headline(state: StreamState) -> str:
    """One line: size, length and seed."""
    scale = geometry.SPACE_SCALE
    size = f"{state.width * scale}x{state.height * scale} px"
    if not state.blocks:
        return f"{size}, no frames yet, seed {state.seed}"
    px = state.px_frames
    many = "" if state.batch == 1 else f", {state.batch} videos side by side"
    blocks = "1 block" if state.blocks == 1 else f"{state.blocks} blocks"
    return (
        f"{size}, {px} frames ({geometry.seconds_from_px(px):.1f} s at {geometry.FPS:g} fps) in "
        f"{blocks}, seed {state.seed}{many}"
    )


def describe(state: StreamState) -> str:
    """All that a stream holds, several lines."""
    return "\n".join(
        (
            headline(state),
            f"{state.frames} latent frames of {state.width}x{state.height}, "
            f"{_size(sum(block.latents.nbytes for block in state.history))}",
            f"Made by the model with the fingerprint {state.model}",
            f"Recipe: {describe_recipe(state.recipe)}",
            *_prompt_lines(state),
            f"Keys and values: {_cache(state)}",
            f"Decoded: {_decoded(state)}",
        )
    )


def describe_recipe(recipe: Recipe) -> str:
    """A recipe in plain words, with the preset's name where it is one."""
    name = next((f"{name}, " for name, preset in recipes.items() if preset == recipe), "")
    steps = ", ".join(f"{value:g}" for value in recipe.timesteps)
    text = f"{name}{len(recipe.timesteps)} steps ({steps}{' warped' if recipe.warp else ''})"
    text += f" with shift {recipe.shift:g}, {recipe.frames_per_block} latent frames a block"
    if recipe.first_block_frames not in (None, recipe.frames_per_block):
        text += f" ({recipe.first_block_frames} in the first)"
    if recipe.first_block_timesteps is not None:
        text += f", {len(recipe.first_block_timesteps)} steps for the first block"
    if recipe.window is None:
        return f"{text}, every block sees all before it, {recipe.positions} positions"
    sink = f", the first {recipe.sink} always among them" if recipe.sink else ""
    return f"{text}, a block sees {recipe.window} latent frames{sink}, {recipe.positions} positions"


def prompt_runs(state: StreamState) -> Iterator[PromptRun]:
    """Which blocks were made from which prompt, and the switch before each run."""
    known: dict[object, int] = {}
    numbers: dict[int, int] = {}  # by identity: blocks share the tensor of their prompt
    run: PromptRun | None = None
    for index, block in enumerate(state.history):
        context = block.context
        if id(context) not in numbers:
            numbers[id(context)] = known.setdefault(_contents(context), len(known) + 1)
        prompt = numbers[id(context)]
        if run is not None and run.prompt == prompt and block.switch == CARRY:
            run = run._replace(last=index)
            continue
        if run is not None:
            yield run
        run = PromptRun(index, index, prompt, context.shape[1], block.switch)
    if run is not None:
        yield run


def _prompt_lines(state: StreamState) -> list[str]:
    lines = []
    policy, end, shorter = state.policy, 0, 0
    for run in prompt_runs(state):
        if run.first and starts_afresh(run.switch):
            shorter += geometry.TIME_SCALE - 1
        begin = end
        end = geometry.px_frames_from_latent(policy.span(run.last).end) - shorter
        blocks = f"Block {run.first}" if run.first == run.last else f"Blocks {run.first}-{run.last}"
        times = "{:.2f} to {:.2f} s".format(*map(geometry.seconds_from_px, (begin, end)))
        taken = f", {run.switch}" if run.first or run.switch != CARRY else ""
        lines.append(f"{blocks} ({times}): prompt {run.prompt} of {run.tokens} tokens{taken}")
    if len(lines) > _MOST_LINES:
        half = _MOST_LINES // 2
        left_out = f"... {len(lines) - 2 * half} more ..."
        lines = [*lines[:half], left_out, *lines[-half:]]
    return lines


def _cache(state: StreamState) -> str:
    snapshot = state.snapshot
    if snapshot is not None:
        kind = "in 8 bits, nearly exact" if snapshot.scales else "exact"
        return f"travel along, {_size(snapshot.nbytes)}, {kind}"
    if state.live.ring is not None:
        return "still on the device"
    return "do not travel; recomputed when the stream is continued"


def _decoded(state: StreamState) -> str:
    if state.decoder is None:
        return "nothing yet"
    blocks, past = state.decoder.blocks, state.decoder.past
    counted = "all" if blocks == state.blocks else f"{blocks} of {state.blocks} blocks"
    kept = f"travels along, {_size(state.decoder.nbytes)}" if past else "is computed again"
    return f"{counted}; what the decoder needs to continue {kept}"


def _contents(context: Tensor) -> object:
    return tuple(context.shape), context.contiguous().view(-1).float().numpy().tobytes()


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 10**9 else f"{count / 1e6:.2f} MB"
