"""The student's own rollout, with gradients: it learns from what it makes in sampling.

Self-Forcing (arXiv 2506.08009): every block is denoised after the student's own earlier blocks, up
to an exit step drawn at random, the same for all blocks. That step alone carries gradients; its
clean prediction is written to the cache without any.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..model.binding import BoundWan
from ..model.forward import denoise, write_cache
from ..model.prompt import encode_prompt
from ..stream.noise import Noise
from ..stream.recipe import Recipe
from ..stream.schedule import make_schedule
from ..stream.window import Span, WindowPolicy
from .clip_cache import ClipCache
from .conditioning import Conditioning
from .dmd import Sample
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
    """A clip of shape (B, 16, T, H, W) as the recipe samples it, left at an early step.

    exit_step: the denoising step whose clean prediction counts, the same for all blocks
    (`draw_exit_step`); the last one gives the engine's rollout. noise: as in `stream.rollout`;
    step 0 is the initial noise. gradient_frames: blocks that end before the last so many latent
    frames get no gradient; None: all get one. given: clean latents [B, 16, t, H, W] of the first
    blocks, which are context only.

    The clean pass sees each block at the context timestep, noised to it as Self-Forcing trains,
    unlike in sampling. Raises ValueError when T or t does not fill whole blocks.
    """
    policy = WindowPolicy.of(recipe)
    frames = shape[2]
    first_loss_frame = frames - (frames if gradient_frames is None else gradient_frames)
    clip = _Clip(student.bound, recipe, policy, shape, conditioning, noise)
    known: Sequence[Tensor] = ()
    if given is not None:
        known = torch.split(given.float(), policy.split(0, given.shape[2]), dim=2)
    made: list[Tensor] = []
    loss_mask: list[bool] = []
    for index in range(len(policy.split(0, frames))):
        span = policy.span(index)
        learns = index >= len(known) and span.end > first_loss_frame
        if index < len(known):
            made.append(known[index])
        else:
            made.append(clip.exit_prediction(index, span, exit_step, learns))
        loss_mask += [learns] * span.frames
        if span.end < frames:
            clip.write_clean(index, span, made[-1].detach())
    mask = torch.tensor(loss_mask, device=student.bound.device).expand(shape[0], -1)
    return Sample(torch.cat(made, dim=2), mask)


def draw_exit_step(generator: torch.Generator, recipe: Recipe) -> int:
    """The step whose prediction counts, any of the recipe's. All ranks have to draw the same."""
    return int(torch.randint(len(recipe.schedule(1).timesteps), (1,), generator=generator))


class _Clip:
    """A clip of shape (B, 16, T, H, W) in the making, with the keys and values of its blocks."""

    def __init__(
        self,
        bound: BoundWan,
        recipe: Recipe,
        policy: WindowPolicy,
        shape: Sequence[int],
        conditioning: Conditioning,
        noise: Noise,
    ) -> None:
        batch, _, frames, height, width = shape
        self._bound, self._recipe, self._shape, self._noise = bound, recipe, shape, noise
        self._cache = ClipCache(bound, policy, (batch, frames, height, width), recipe.positions)
        self._prompt = encode_prompt(bound, conditioning.context, conditioning.lengths)

    def exit_prediction(self, index: int, span: Span, exit_step: int, learns: bool) -> Tensor:
        """The clean prediction of a block at its exit step, which alone carries gradients."""
        bound, schedule = self._bound, self._recipe.schedule(index)
        attend = self._cache.attend(span)
        last = min(exit_step, len(schedule.timesteps) - 1)
        x = self._draw(index, span, 0)
        for step in range(last + 1):
            sigma = schedule.sigmas[step]
            timestep = torch.full((1, 1), schedule.timesteps[step], device=bound.device)
            with torch.set_grad_enabled(learns and step == last and torch.is_grad_enabled()):
                x0 = x - sigma * denoise(bound, x, timestep, attend, self._prompt).float()
            if step < last:
                following = schedule.sigmas[step + 1]
                x = (1 - following) * x0 + following * self._draw(index, span, step + 1)
        return x0

    @torch.no_grad()
    def write_clean(self, index: int, span: Span, x0: Tensor) -> None:
        """The clean pass of a block, which writes its keys and values to the cache."""
        bound, recipe = self._bound, self._recipe
        timestep = torch.full((1, 1), float(recipe.context_timestep), device=bound.device)
        if recipe.context_timestep:
            (sigma,) = make_schedule((recipe.context_timestep,), recipe.shift, False).sigmas
            steps = len(recipe.schedule(index).timesteps)
            x0 = (1 - sigma) * x0 + sigma * self._draw(index, span, steps)
        write_cache(bound, x0, timestep, self._cache.attend(span, writes=True), self._prompt)

    def _draw(self, index: int, span: Span, step: int) -> Tensor:
        batch, channels, _, height, width = self._shape
        noise = self._noise(index, step, (batch, channels, span.frames, height, width))
        return noise.to(self._bound.device, torch.float32, non_blocking=True)
