"""A transformer as training runs it, and the arithmetic of flow matching.

Wan's flow matching: a latent at noise level sigma is (1 - sigma) * x0 + sigma * noise, its flow is
noise - x0, and a timestep is a noise level times 1000. All functions here are differentiable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..model.binding import BoundWan, as_bound
from ..model.pieces import split_blocks
from ..model.transformer import Block
from ..model.whole_clip import forward_all
from ..stream.recipe import Recipe
from ..stream.schedule import TABLE, Schedule
from ..stream.window import WindowPolicy
from .conditioning import Conditioning

T = TypeVar("T")


@dataclass(frozen=True)
class Network:
    """A bound model and its attention over a clip: full, or block-causal by a window policy.

    Teacher and critic have full attention, the student is causal; a causal teacher is possible. In
    a causal network a block sees itself and those blocks before it that the policy's window holds.
    """

    bound: BoundWan
    policy: WindowPolicy | None = None

    @classmethod
    def bidirectional(cls, model: nn.Module | BoundWan) -> Network:
        """A teacher or critic, as Wan was trained."""
        return cls(as_bound(model))

    @classmethod
    def of(cls, model: nn.Module | BoundWan, recipe: Recipe) -> Network:
        """A causal network with a recipe's blocks and window."""
        return cls(as_bound(model), WindowPolicy.of(recipe))

    @property
    def causal(self) -> bool:
        """Whether attention is block-causal."""
        return self.policy is not None

    def blocks(self, frames: int) -> list[int]:
        """Latent frames of each block of a clip; a single block under full attention."""
        if self.policy is None:
            return [frames]
        return split_blocks(frames, self.policy.frames_per_block, self.policy.first_block_frames)

    def clean_context(self, x0: Tensor) -> Tensor:
        """All blocks but the last of clean latents [B, 16, T, H, W]: those that others see."""
        return x0[:, :, : -self.blocks(x0.shape[2])[-1]]

    def flow(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditioning: Conditioning,
        clean: Tensor | None = None,
    ) -> Tensor:
        """Flow of noisy latents [B, 16, T, H, W] at timesteps [B, T] (or [B, 1]), in one pass.

        A block sees the noisy blocks before it, each at its own timestep (diffusion forcing, as
        CausVid trains); or, given `clean`, the clean latents of all blocks but the last, it sees
        those (teacher forcing), as in sampling.
        """
        attention: dict[str, Any] = asdict(self.policy) if self.policy else {"causal": False}
        return forward_all(
            self.bound,
            noisy,
            timesteps,
            conditioning.context,
            **attention,
            clean=clean,
            context_lengths=conditioning.lengths,
        )


def with_gradient_checkpointing(
    module: nn.Module, function: Callable[..., T], *arguments: object
) -> T:
    """Run a layer so that it keeps its input only; backward computes the rest again.

    Gradients are the same. Bind a model so with `replace(bound, within=...)`.
    """
    if isinstance(module, Block) and torch.is_grad_enabled():
        out = checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)
        return cast(T, out)
    return function(*arguments)


def add_noise(x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Latents [B, 16, T, H, W] at noise levels sigmas [B, T] (or [B, 1])."""
    sigmas = _over_latents(sigmas, x0)
    return (1 - sigmas) * x0 + sigmas * noise


def x0_from_flow(noisy: Tensor, flow: Tensor, sigmas: Tensor) -> Tensor:
    """The clean latents that a flow points to, at noise levels sigmas [B, T] (or [B, 1])."""
    return noisy - _over_latents(sigmas, noisy) * flow


def by_frame(values: Tensor, blocks: Sequence[int]) -> Tensor:
    """Values [B, blocks] repeated over the latent frames of their blocks: [B, T]."""
    frames = torch.tensor(blocks, device=values.device)
    return values.repeat_interleave(frames, dim=1, output_size=sum(blocks))


def levels_of(
    schedule: Schedule, drawn: Tensor, blocks: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The levels [B, T] drawn [B, blocks] from a schedule: their numbers, timesteps and sigmas.

    The number after the schedule's last stands for clean latents.
    """
    chosen = by_frame(drawn, blocks)
    timesteps, sigmas = (
        torch.tensor((*values, 0.0), device=drawn.device)[chosen] for values in schedule
    )
    return chosen, timesteps, sigmas


def mean_square(error: Tensor, loss_mask: Tensor | None = None) -> Tensor:
    """Mean of error [B, 16, T, H, W] squared, over the latent frames that loss_mask [B, T] names.

    Zero, with gradients of zero, where the mask is empty.
    """
    if loss_mask is None:
        return error.square().mean()
    weight = _over_latents(loss_mask, error)
    count = weight.sum() * (error[0].numel() / error.shape[2])
    return (error.square() * weight).sum() / count.clamp(min=1)


def flow_matching_loss(
    network: Network,
    x0: Tensor,
    noise: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    loss_mask: Tensor | None = None,
    *,
    teacher_forcing: bool = False,
    context_noise: Tensor | None = None,
) -> Tensor:
    """Mean squared error of the flow of clean latents x0 noised to timesteps [B, T] (or [B, 1]).

    What a teacher learns from data, and a critic from the student's samples. x0 gets no gradient.
    loss_mask [B, T]: the latent frames that count, all when None. teacher_forcing: a block of a
    causal network sees clean blocks before it instead of noisy ones. context_noise: what is added
    to these, of x0's shape.
    """
    x0 = x0.detach()
    noisy = add_noise(x0, noise, timesteps / TABLE)
    clean = None
    if teacher_forcing:
        clean = network.clean_context(x0 if context_noise is None else x0 + context_noise)
    error = network.flow(noisy, timesteps, conditioning, clean).float() - (noise - x0)
    return mean_square(error, loss_mask)


def _over_latents(values: Tensor, like: Tensor) -> Tensor:
    return rearrange(values.to(like.dtype), "b t -> b 1 t 1 1")
