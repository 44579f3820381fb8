"""The student's own rollout, with gradients: training sees what sampling will (Self-Forcing).

Self-Forcing (arXiv 2506.08009): every block is denoised after what the student itself made, up to
a step drawn at random, the same for all blocks; that step alone carries gradients, and its clean
prediction goes on to the cache without any.

The engine's ring is written in place on every step and its rows are used anew, which autograd
does not allow for what it still needs. So a clip in training keeps the keys and values of all its
latent frames, written by clean passes only, and a block attends to copies of the rows that the
recipe's window shows it, joined with its own keys and values, which do carry gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from ..model.attention import Attention
from ..model.binding import BoundWan
from ..model.forward import denoise, write_cache
from ..model.kv_cache import KVRing
from ..model.prompt import EncodedPrompt, encode_prompt
from ..model.rope import Rotary, rotate
from ..stream.noise import Noise
from ..stream.plan import Plan, Span
from ..stream.recipe import Recipe
from ..stream.schedule import make_schedule
from .dmd import Sample
from .guidance import Conditioning
from .network import Network


class ClipCache:
    """Keys and values of all latent frames of a clip, for one rollout of a model in training.

    What a block sees, and at which positions, is the recipe's policy, as when it is sampled.
    """

    def __init__(
        self, bound: BoundWan, recipe: Recipe, batch: int, height: int, width: int, frames: int
    ) -> None:
        grid = bound.config.grid(height, width)
        self._bound, self._plan = bound, Plan.of(recipe)
        self._relative = recipe.positions == "relative"
        self._tokens = grid[0] * grid[1]
        self._rotary = Rotary(bound.config.head_dim, grid, bound.device)
        self._ring = KVRing(bound, batch, frames * self._tokens)

    def attend(self, span: Span, writes: bool = False) -> ClipAttention:
        """Self-attention of the block that is these latent frames."""
        plan, end = self._plan, span.end
        seen = list(plan.visible(end))
        positions = [plan.rank(frame, end) if self._relative else frame for frame in seen]
        own = len(seen) - span.frames
        return ClipAttention(
            self._bound.attention,
            self._ring,
            [self._rows(run) for run in _runs(seen[:own])],
            self._rows(range(span.first, end)),
            self._rotary.table(positions[own:]),
            self._rotary.table(positions) if self._relative else None,
            writes,
        )

    def _rows(self, frames: range) -> slice:
        return slice(frames.start * self._tokens, frames.stop * self._tokens)


class ClipAttention:
    """Self-attention of one block over copies of what is kept and its own keys and values.

    writes: for the clean pass, which keeps them. key_rope turns all keys, which are then kept
    unturned, to positions within the window; else they are kept turned.
    """

    def __init__(
        self,
        attention: Attention,
        ring: KVRing,
        seen: Sequence[slice],
        own: slice,
        rope: Tensor,
        key_rope: Tensor | None,
        writes: bool,
    ) -> None:
        self._attention, self._ring, self._seen, self._own = attention, ring, seen, own
        self._rope, self._key_rope, self._writes = rope, key_rope, writes

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `SelfAttend`. Mutates the ring if it writes."""
        if self._writes:
            self.keep(layer, k, v)
        keys = self._joined(self._ring.keys[layer], self._stored(k))
        if self._key_rope is not None:
            keys = rotate(keys, self._key_rope)
        values = self._joined(self._ring.values[layer], v)
        return self._attention(rotate(q, self._rope).to(keys.dtype), keys, values)

    def keep(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Write the block's keys and values [B, N, h, d]. Mutates the ring."""
        self._ring.keys[layer][:, self._own].copy_(self._stored(k))
        self._ring.values[layer][:, self._own].copy_(v)

    def _stored(self, k: Tensor) -> Tensor:
        return rotate(k, self._rope) if self._key_rope is None else k

    def _joined(self, kept: Tensor, own: Tensor) -> Tensor:
        return torch.cat([*(kept[:, rows] for rows in self._seen), own.to(kept.dtype)], dim=1)


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
    bound, plan = student.bound, Plan.of(recipe)
    batch, channels, frames, height, width = shape
    blocks = plan.split(0, frames)
    known = 0 if given is None else len(plan.split(0, given.shape[2]))
    learned_from = frames - (frames if gradient_frames is None else gradient_frames)
    cache = ClipCache(bound, recipe, batch, height, width, frames)
    prompt = encode_prompt(bound, conditioning.context, conditioning.lengths)
    made, learned = [], []
    for index, count in enumerate(blocks):
        span = plan.span(index)
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


def _runs(frames: Sequence[int]) -> list[range]:
    """Rising latent frames as runs of consecutive ones."""
    groups = groupby(enumerate(frames), key=lambda pair: pair[1] - pair[0])
    runs = [[frame for _, frame in group] for _, group in groups]
    return [range(run[0], run[-1] + 1) for run in runs]
