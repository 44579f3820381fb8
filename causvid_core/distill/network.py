"""A model as training runs it, and the arithmetic of flow matching.

Wan's flow matching: a latent at noise level sigma is (1 - sigma) * x0 + sigma * noise, its flow is
noise - x0, and a timestep is a noise level times 1000. All functions here are differentiable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..model.binding import BoundWan, as_bound
from ..model.pieces import split_blocks
from ..model.transformer import Block
from ..model.whole_clip import forward_all
from ..stream.recipe import Recipe
from ..stream.schedule import TABLE
from ..stream.window import WindowPolicy
from .guidance import Conditioning

T = TypeVar("T")


@dataclass(frozen=True)
class Network:
    """A bound model and who sees whom in it: every frame every frame, or block by block.

    Teacher and critic are bidirectional, the student is causal; a causal teacher is possible. A
    causal network sees the blocks before a block, within `window` latent frames that count the
    block's own and the first `sink` ones, which stay; None sees them all. flex: see `model.flex`.
    """

    bound: BoundWan
    causal: bool
    frames_per_block: int = 3
    first_block_frames: int | None = None
    window: int | None = None
    sink: int = 0
    flex: bool = False

    @classmethod
    def bidirectional(cls, model: nn.Module | BoundWan) -> Network:
        """A teacher or critic, as Wan was trained."""
        return cls(as_bound(model), causal=False)

    @classmethod
    def of(cls, model: nn.Module | BoundWan, recipe: Recipe) -> Network:
        """A causal network with the blocks and the window of a recipe."""
        return cls(
            as_bound(model),
            True,
            recipe.frames_per_block,
            recipe.first_block_frames,
            recipe.window,
            recipe.sink if recipe.window is not None else 0,
        )

    @property
    def policy(self) -> WindowPolicy:
        """The blocks and the window of a causal network."""
        first = self.first_block_frames or self.frames_per_block
        return WindowPolicy(self.frames_per_block, first, self.window, self.sink)

    def blocks(self, frames: int) -> list[int]:
        """Latent frames of each block of a clip; one block where all see all."""
        if not self.causal:
            return [frames]
        return split_blocks(frames, self.frames_per_block, self.first_block_frames)

    def before(self, x0: Tensor) -> Tensor:
        """Of clean latents [B, 16, T, H, W], all blocks but the last: what others can see."""
        return x0[:, :, : -self.blocks(x0.shape[2])[-1]]

    def flow(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditioning: Conditioning,
        before: Tensor | None = None,
    ) -> Tensor:
        """Flow of noisy latents [B, 16, T, H, W] at timesteps [B, T] (or [B, 1]), in one pass.

        A block sees the noisy blocks before it, each at its own timestep, as CausVid trains
        (diffusion forcing); with `before`, clean latents of all blocks but the last, those
        (teacher forcing), as when it is sampled.
        """
        return forward_all(
            self.bound,
            noisy,
            timesteps,
            conditioning.context,
            self.causal,
            self.frames_per_block,
            self.first_block_frames,
            window=self.window,
            sink=self.sink,
            clean=before,
            flex=self.flex,
            context_lengths=conditioning.lengths,
        )

    def x0(
        self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning, sigmas: Tensor
    ) -> Tensor:
        """Clean prediction of noisy latents; sigmas [B, T] (or [B, 1])."""
        return clean(noisy, self.flow(noisy, timesteps, conditioning), sigmas)


def recomputed(module: nn.Module, function: Callable[..., T], *arguments: object) -> T:
    """A `Within` that keeps a layer's input only; backward computes the rest once more.

    Gradients are the same. `replace(bound, within=recomputed)` binds a model so.
    """
    if isinstance(module, Block) and torch.is_grad_enabled():
        return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)
    return function(*arguments)


def add_noise(x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Latents [B, 16, T, H, W] at noise levels sigmas [B, T] (or [B, 1])."""
    sigmas = _frames(sigmas, x0)
    return (1 - sigmas) * x0 + sigmas * noise


def clean(noisy: Tensor, flow: Tensor, sigmas: Tensor) -> Tensor:
    """The x0 that a flow points to."""
    return noisy - _frames(sigmas, noisy) * flow


def sigmas_of(timesteps: Tensor) -> Tensor:
    """Noise levels of timesteps that are on no list."""
    return timesteps / TABLE


def by_frame(values: Tensor, blocks: Sequence[int]) -> Tensor:
    """Values [B, blocks] given to the latent frames of their blocks: [B, T]."""
    frames = torch.tensor(blocks, device=values.device)
    return values.repeat_interleave(frames, dim=1, output_size=sum(blocks))


def mean_square(error: Tensor, learned: Tensor | None = None) -> Tensor:
    """Mean of error [B, 16, T, H, W] squared, over the latent frames where learned [B, T] only.

    Zero, with gradients of zero, where nothing is to be learned.
    """
    if learned is None:
        return error.square().mean()
    weight = _frames(learned, error)
    count = weight.sum() * (error[0].numel() / error.shape[2])
    return (error.square() * weight).sum() / count.clamp(min=1)


def flow_matching_loss(
    network: Network,
    x0: Tensor,
    noise: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    learned: Tensor | None = None,
    *,
    forced: bool = False,
) -> Tensor:
    """Mean squared error of the flow of clean latents x0 noised to timesteps [B, T] (or [B, 1]).

    What a teacher learns from data, and a critic from what the student makes. x0 gets no gradient.
    learned [B, T]: the latent frames that count, all when None. forced: a causal network sees
    clean blocks before each (teacher forcing) instead of noisy ones.
    """
    x0 = x0.detach()
    noisy = add_noise(x0, noise, sigmas_of(timesteps))
    before = network.before(x0) if forced else None
    error = network.flow(noisy, timesteps, conditioning, before).float() - (noise - x0)
    return mean_square(error, learned)


def _frames(values: Tensor, like: Tensor) -> Tensor:
    """[B, T] as [B, 1, T, 1, 1] in the dtype of latents."""
    return values.to(like.dtype)[:, None, :, None, None]
