"""ODE initialisation: the teacher's trajectories, and a student that jumps to their ends.

CausVid (arXiv 2412.07772, section 4.2): the student learns, from few states of the teacher's
deterministic sampling, where it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..model.forward import denoise, write_cache
from ..model.prompt import encode_prompt
from ..stream.schedule import TABLE, Schedule
from .clip_cache import ClipCache
from .guidance import Conditioning, Guidance, guided, guided_flow, sides_of
from .network import Network, by_frame, clean, mean_square


class Trajectory(NamedTuple):
    """States [B, K + 1, 16, T, H, W] of a sampling: at the K timesteps that were asked for, and
    its end. `timesteps` and `sigmas` belong to the states; the last is 0.
    """

    states: Tensor
    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]


@torch.no_grad()
def trajectory(
    teacher: Network,
    noise: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
    keep: Schedule,
    *,
    steps: int = 50,
    shift: float = 8.0,
) -> Trajectory:
    """Sample the teacher from noise [B, 16, T, H, W] with Euler steps, keeping some states.

    A causal teacher is sampled block by block, each block after the ends of those before it.

    keep: the student's schedule. The level of the teacher's schedule nearest to each of its
    noise levels moves onto it, so that the state is exactly there (CausVid chose its timesteps
    among the teacher's, which then does not move any). Raises ValueError when two of them are
    nearest to the same level.
    """
    sigmas, kept = sampling_levels(keep, steps, shift)
    states = _sampled(teacher, noise, conditioning, guidance, sigmas, kept)
    return Trajectory(states, (*keep.timesteps, 0.0), (*keep.sigmas, 0.0))


@torch.no_grad()
def sample(
    teacher: Network,
    noise: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
    *,
    steps: int = 50,
    shift: float = 8.0,
) -> Tensor:
    """The end [B, 16, T, H, W] of a teacher's `trajectory`."""
    sigmas = uniform_levels(steps, shift)
    return _sampled(teacher, noise, conditioning, guidance, sigmas, [])[:, 0]


def _sampled(
    teacher: Network,
    noise: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
    sigmas: list[float],
    kept: list[int],
) -> Tensor:
    way = _block_by_block if teacher.causal else _all_at_once
    return way(teacher, noise.float(), conditioning, guidance, sigmas, kept)


def _all_at_once(
    teacher: Network,
    noise: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
    sigmas: list[float],
    kept: list[int],
) -> Tensor:
    def flow(x: Tensor, timesteps: Tensor) -> Tensor:
        return guided_flow(teacher, x, timesteps, conditioning, guidance)

    return _euler(flow, noise, sigmas, kept)


def _block_by_block(
    teacher: Network,
    noise: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
    sigmas: list[float],
    kept: list[int],
) -> Tensor:
    """With a cache for the prompt, and one for what guidance leads away from."""
    bound, policy = teacher.bound, teacher.policy
    batch, _, frames, *size = noise.shape
    sides = [
        (ClipCache(bound, policy, (batch, frames, *size)), encode_prompt(bound, *prompt))
        for prompt in sides_of(conditioning, guidance, batch)
    ]
    states = []
    for index in range(len(policy.split(0, frames))):
        span = policy.span(index)
        seen = [(cache.attend(span), prompt) for cache, prompt in sides]

        def flow(x: Tensor, timesteps: Tensor, seen: list = seen) -> Tensor:
            flows = [denoise(bound, x, timesteps, attend, prompt) for attend, prompt in seen]
            return guided(flows, guidance)

        states.append(_euler(flow, noise[:, :, span.first : span.end], sigmas, kept))
        if span.end < frames:
            end, zero = states[-1][:, -1], torch.zeros(1, 1, device=noise.device)
            for cache, prompt in sides:
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
    sigmas = uniform_levels(steps, shift)
    kept = [
        min(range(steps), key=lambda step, sigma=sigma: abs(sigmas[step] - sigma))
        for sigma in keep.sigmas
    ]
    if len(set(kept)) < len(kept):
        raise ValueError(
            f"{steps} steps are too coarse to keep the states at {len(kept)} timesteps "
            f"({', '.join(f'{t:g}' for t in keep.timesteps)}); sample the teacher in more steps"
        )
    for step, sigma in zip(kept, keep.sigmas, strict=True):
        sigmas[step] = sigma
    return sigmas, kept


def uniform_levels(steps: int, shift: float) -> list[float]:
    """Noise levels of a sampling in `steps` even steps before the shift, with the final 0."""
    uniform = [1 - step / steps for step in range(steps + 1)]
    return [shift * u / (1 + (shift - 1) * u) for u in uniform]


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
    forced: bool = False,
) -> Tensor:
    """Mean squared error of the student's x0 from states [B, K + 1, 16, T, H, W] to their end.

    drawn [B, blocks] picks a state for every block (`draw_states`), the K + 1st being the end:
    context for later blocks, and not learned. schedule: timesteps and noise levels of the first K,
    those that the student is sampled at. forced: blocks see the ends of those before them
    (teacher forcing) instead of what was drawn for those.
    """
    levels = torch.tensor((*schedule.timesteps, 0.0)), torch.tensor((*schedule.sigmas, 0.0))
    chosen = by_frame(drawn.to(states.device), student.blocks(states.shape[3]))
    timesteps, sigmas = (level.to(states.device)[chosen] for level in levels)
    index = chosen[:, None, None, :, None, None].expand(-1, 1, *states.shape[2:])
    noisy = states.gather(1, index).squeeze(1).float()
    end = states[:, -1].float()
    before = student.before(end) if forced else None
    flow = student.flow(noisy, timesteps, conditioning, before).float()
    error = clean(noisy, flow, sigmas) - end
    return mean_square(error, timesteps > 0)
