"""ODE initialisation: the teacher's trajectories, and a student that jumps to their ends.

CausVid (arXiv 2412.07772, section 4.2): the student learns, from few states of the teacher's
deterministic sampling, where it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from ..model.binding import BoundWan
from ..model.forward import denoise, write_cache
from ..model.prompt import EncodedPrompt, encode_prompt
from ..stream.schedule import TABLE, Schedule, shifted
from ..stream.window import WindowPolicy
from .clip_cache import ClipAttention, ClipCache
from .conditioning import Conditioning
from .guidance import Guidance, guided, guided_flow, guided_prompts
from .network import Network, levels_of, mean_square, x0_from_flow

NOTHING = Schedule((), ())


class Trajectory(NamedTuple):
    """States [B, K + 1, 16, T, H, W] of a sampling: at K timesteps, and its end.

    `timesteps` and `sigmas` are those of the states; the last is 0.
    """

    states: Tensor
    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]

    @property
    def end(self) -> Tensor:
        """What was sampled, [B, 16, T, H, W]."""
        return self.states[:, -1]


@torch.no_grad()
def trajectory(
    teacher: Network,
    noise: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
    keep: Schedule = NOTHING,
    *,
    steps: int = 50,
    shift: float = 8.0,
) -> Trajectory:
    """Sample the teacher from noise [B, 16, T, H, W] with Euler steps, keeping some states.

    A causal teacher is sampled block by block, each block after the ends of those before it.
    keep: the student's schedule, whose states are kept; by default only the end is. Each of its
    noise levels replaces the nearest level of the teacher's schedule, so that the state is exactly
    there; CausVid's are among the teacher's already. Raises ValueError when two of them are
    nearest to the same level.
    """
    sigmas, kept = sampling_levels(keep, steps, shift)
    noise = noise.float()
    if teacher.policy:
        states = _block_by_block(
            teacher.bound, teacher.policy, noise, conditioning, guidance, sigmas, kept
        )
    else:
        flow = partial(guided_flow, teacher, conditioning=conditioning, guidance=guidance)
        states = _euler(flow, noise, sigmas, kept)
    return Trajectory(states, (*keep.timesteps, 0.0), (*keep.sigmas, 0.0))


def _block_by_block(
    bound: BoundWan,
    policy: WindowPolicy,
    noise: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
    sigmas: list[float],
    kept: list[int],
) -> Tensor:
    """With a cache of keys and values for every prompt that guidance needs."""
    batch, _, frames, height, width = noise.shape
    prompts = [
        (ClipCache(bound, policy, (batch, frames, height, width)), encode_prompt(bound, *prompt))
        for prompt in guided_prompts(conditioning, guidance, batch)
    ]
    states: list[Tensor] = []
    for index in range(len(policy.split(0, frames))):
        span = policy.span(index)
        seen = [(cache.attend(span), prompt) for cache, prompt in prompts]

        def flow(
            x: Tensor, timesteps: Tensor, seen: Sequence[tuple[ClipAttention, EncodedPrompt]] = seen
        ) -> Tensor:
            flows = [denoise(bound, x, timesteps, attend, prompt) for attend, prompt in seen]
            return guided(flows, guidance)

        states.append(_euler(flow, noise[:, :, span.first : span.end], sigmas, kept))
        if span.end < frames:
            end, zero = states[-1][:, -1], torch.zeros(1, 1, device=noise.device)
            for cache, prompt in prompts:
                write_cache(bound, end, zero, cache.attend(span, writes=True), prompt)
    return torch.cat(states, dim=3)


def _euler(
    flow: Callable[[Tensor, Tensor], Tensor], x: Tensor, sigmas: list[float], kept: list[int]
) -> Tensor:
    """States [B, K + 1, 16, T, H, W] at the kept steps, and the end."""
    states = []
    for step, (sigma, following) in enumerate(zip(sigmas, sigmas[1:], strict=False)):
        if step in kept:
            states.append(x)
        timesteps = torch.full((x.shape[0], 1), sigma * TABLE, device=x.device)
        x = x + (following - sigma) * flow(x, timesteps).float()
    return torch.stack([*states, x], dim=1)


def sampling_levels(keep: Schedule, steps: int, shift: float) -> tuple[list[float], list[int]]:
    """Noise levels of a sampling, `steps` + 1 with the final 0, and the steps to be kept."""
    sigmas = [shifted(1 - step / steps, shift) for step in range(steps + 1)]
    kept = [min(range(steps), key=lambda step: abs(sigmas[step] - own)) for own in keep.sigmas]
    if len(set(kept)) < len(kept):
        raise ValueError(
            f"{steps} steps are too coarse to keep the states at {len(kept)} timesteps "
            f"({', '.join(f'{t:g}' for t in keep.timesteps)}); sample the teacher in more steps"
        )
    for step, sigma in zip(kept, keep.sigmas, strict=True):
        sigmas[step] = sigma
    return sigmas, kept


def draw_states(generator: torch.Generator, batch: int, blocks: int, states: int) -> Tensor:
    """One of the states for every block: [B, blocks] integers below `states`, on the CPU."""
    return torch.randint(states, (batch, blocks), generator=generator)


def ode_regression_loss(
    student: Network,
    states: Tensor,
    schedule: Schedule,
    drawn: Tensor,
    conditioning: Conditioning,
    *,
    teacher_forcing: bool = False,
) -> Tensor:
    """Mean squared error of the student's x0 from states [B, K + 1, 16, T, H, W] to their end.

    drawn [B, blocks] picks a state for every block (`draw_states`). The K + 1st is the end:
    context for later blocks, without loss. schedule: timesteps and noise levels of the first K,
    those that the student is sampled at. teacher_forcing: blocks see the ends of the blocks before
    them instead of the states drawn for these.
    """
    blocks = student.blocks(states.shape[3])
    chosen, timesteps, sigmas = levels_of(schedule, drawn.to(states.device), blocks)
    index = rearrange(chosen, "b t -> b 1 1 t 1 1").expand(-1, 1, *states.shape[2:])
    noisy = states.gather(1, index).squeeze(1).float()
    end = states[:, -1].float()
    clean = student.clean_context(end) if teacher_forcing else None
    flow = student.flow(noisy, timesteps, conditioning, clean).float()
    return mean_square(x0_from_flow(noisy, flow, sigmas) - end, timesteps > 0)
