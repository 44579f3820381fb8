"""The student's own rollout, with gradients: training sees what sampling will (Self-Forcing).

Self-Forcing (arXiv 2506.08009): every block is denoised after what the student itself made, up to
a step drawn at random, the same for all blocks; that step alone carries gradients, and its clean
prediction goes on to the cache without any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ..model.binding import BoundWan
from ..model.forward import denoise, write_cache
from ..model.prompt import EncodedPrompt, encode_prompt
from ..stream.noise import Noise
from ..stream.recipe import Recipe
from ..stream.schedule import make_schedule
from ..stream.window import WindowPolicy
from .clip_cache import ClipAttention, ClipCache
from .dmd import Sample
from .guidance import Conditioning
from .network import Network


def self_rollout(
    student: Network,
    recipe: Recipe,
    shape: Sequence[int],
    conditioning: Conditioning,
    noise: Noise,
    exit_step: int,
    *,
    gradient_frames: int | None = 21,
    given: Tensor | None = None,
) -> Sample:
    """A clip of shape (B, 16, T, H, W) as the recipe would sample it, left at a step early.

    exit_step: the denoising step, the same for all blocks, whose clean prediction counts
    (`draw_exit_step`); the last one gives what the engine's rollout gives. noise: as in
    `stream.rollout`; step 0 is the initial noise. gradient_frames: blocks that end before the
    last so many latent frames are made without gradient; None: all have some. given: clean latents
    [B, 16, t, H, W] of the first blocks, which are context only.

    The clean pass sees what was made at the context timestep; unlike in sampling it is noised to
    that, as Self-Forcing trains it. Raises ValueError when T or t does not fill whole blocks.
    """
    bound, policy = student.bound, WindowPolicy.of(recipe)
    batch, channels, frames, height, width = shape
    blocks = policy.split(0, frames)
    known = 0 if given is None else len(policy.split(0, given.shape[2]))
    learned_from = frames - (frames if gradient_frames is None else gradient_frames)
    cache = ClipCache(bound, policy, (batch, frames, height, width), recipe.positions)
    prompt = encode_prompt(bound, conditioning.context, conditioning.lengths)
    made, learned = [], []
    for index, count in enumerate(blocks):
        span = policy.span(index)
        draw = partial(_draw, bound, noise, index, (batch, channels, count, height, width))
        attend = cache.attend(span)
        learns = index >= known and span.end > learned_from
        if index < known:
            x0 = given[:, :, span.first : span.end].float()
        else:
            x0 = _left_at(bound, recipe, index, attend, prompt, draw, exit_step, learns)
        made.append(x0)
        learned += [learns] * count
        if index + 1 < len(blocks):
            _remember(bound, recipe, index, x0.detach(), cache.attend(span, True), prompt, draw)
    return Sample(
        torch.cat(made, dim=2), torch.tensor(learned, device=bound.device).expand(batch, -1)
    )


def draw_exit_step(generator: torch.Generator, recipe: Recipe) -> int:
    """The step whose prediction counts, any of the recipe's. All ranks must draw the same."""
    return int(torch.randint(len(recipe.schedule(1).timesteps), (1,), generator=generator))


def _left_at(
    bound: BoundWan,
    recipe: Recipe,
    index: int,
    attend: ClipAttention,
    prompt: EncodedPrompt,
    draw: Callable[[int], Tensor],
    exit_step: int,
    learns: bool,
) -> Tensor:
    """The clean prediction of a block at the step it is left at, which alone carries gradients."""
    schedule = recipe.schedule(index)
    last = min(exit_step, len(schedule.timesteps) - 1)
    x = draw(0)
    for step in range(last + 1):
        sigma = schedule.sigmas[step]
        timestep = torch.full((1, 1), schedule.timesteps[step], device=bound.device)
        with torch.set_grad_enabled(learns and step == last and torch.is_grad_enabled()):
            x0 = x - sigma * denoise(bound, x, timestep, attend, prompt).float()
        if step < last:
            following = schedule.sigmas[step + 1]
            x = (1 - following) * x0 + following * draw(step + 1)
    return x0


@torch.no_grad()
def _remember(
    bound: BoundWan,
    recipe: Recipe,
    index: int,
    x0: Tensor,
    attend: ClipAttention,
    prompt: EncodedPrompt,
    draw: Callable[[int], Tensor],
) -> None:
    """The clean pass of a block: its keys and values go to the cache."""
    timestep = torch.full((1, 1), float(recipe.context_timestep), device=bound.device)
    if recipe.context_timestep:
        (sigma,) = make_schedule((recipe.context_timestep,), recipe.shift, False).sigmas
        steps = len(recipe.schedule(index).timesteps)
        x0 = (1 - sigma) * x0 + sigma * draw(steps)
    write_cache(bound, x0, timestep, attend, prompt)


def _draw(bound: BoundWan, noise: Noise, block: int, shape: Sequence[int], step: int) -> Tensor:
    return noise(block, step, shape).to(bound.device, torch.float32, non_blocking=True)
