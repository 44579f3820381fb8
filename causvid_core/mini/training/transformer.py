"""Train the Mini's causal transformer: flow matching under teacher forcing, at the steps it takes.

Every block is learned at once, each noisy block seeing the clean blocks before it in its window,
which is what the KV cache holds when it samples (teacher forcing as in Causal Forcing,
arXiv 2602.02214; CausVid's own first stage lets blocks see noisy ones). As the student takes four
steps only, most of the training happens at the noise levels of those four.

What a video shows is decided in its first block; the others go on with what they see. So most of
the batch are openings, clips of one block alone, which cost a seventh of a whole clip.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...distill.training.settings import SIZES
from ...model.attention import BlockCausalAttention
from ...model.binding import BoundWan, bind
from ...model.forward import denoise
from ...model.pieces import teacher_forced
from ...model.prompt import encode_prompt
from ...model.rope import Rotary
from ...model.transformer import CausalWan
from ..text_encoder import TextEncoder
from .latents import read_world
from .parallel import own_part
from .trainer import TrainSettings, train

log = logging.getLogger("causvid")

MINI = SIZES["mini"]
ANY_TIMESTEP_SHARE = 0.2  # of blocks, for sampling at other steps than the recipe's
CONTEXT_NOISE = 0.1  # at most; the clean blocks that sampling sees are not perfect either


@dataclass(frozen=True)
class DiTSettings:
    """clips, openings: how many of each a step learns from; both split by the processes."""

    timesteps: tuple[float, ...]  # the recipe's, warped
    shift: float
    frames_per_block: int
    window_blocks: int
    steps: int = 2400
    clips: int = 4
    openings: int = 60
    matrix_rate: float = 2e-3  # Muon, for the blocks' matrices
    other_rate: float = 1.5e-3  # AdamW, for the rest
    seed: int = 0


def attend_to_few(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Written out: at these few tokens it trains three times as fast as the fused attention."""
    weights = q.transpose(1, 2) @ k.permute(0, 2, 3, 1) * q.shape[-1] ** -0.5
    weights = (weights if bias is None else weights + bias).softmax(dim=-1)
    return (weights.to(v.dtype) @ v.transpose(1, 2)).transpose(1, 2)


def train_dit(
    settings: DiTSettings,
    clips: Path,
    openings: Path,
    folder: Path,
    text: TextEncoder,
    first_weights: Path | None = None,
) -> dict[str, Tensor]:
    """Train, or resume, in `folder`; returns the averaged state dict.

    clips, openings: folders that `encode_world` wrote. first_weights: a safetensors file to begin
    with instead of fresh weights.
    """
    torch.manual_seed(settings.seed)
    model = CausalWan(MINI)
    if first_weights is not None:
        model.load_state_dict({k: v.float() for k, v in load_file(first_weights).items()})
    bound = bind(model)
    # The first block of a whole clip shows its shape anywhere, which is no way to open a video.
    parts = (
        Part("clip", settings, bound, clips, text, settings.clips, settings.frames_per_block),
        Part("opening", settings, bound, openings, text, settings.openings, 0),
    )

    def loss_of_step(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        errors, figures = zip(*(part.errors(generator) for part in parts), strict=True)
        return torch.cat([e.flatten() for e in errors]).mean(), figures[0] | figures[1]

    return train(
        model,
        _optimizers(model, settings),
        loss_of_step,
        TrainSettings(settings.steps, settings.seed, ema_decay=0.998),
        folder / "dit.pt",
    )


class Part:
    """A part of every batch: `batch` encoded clips of one length from a folder.

    Their first `given_frames` latent frames are context only, and not learned.
    """

    def __init__(
        self,
        name: str,
        settings: DiTSettings,
        bound: BoundWan,
        folder: Path,
        text: TextEncoder,
        batch: int,
        given_frames: int,
    ) -> None:
        self._name, self._settings, self._bound = name, settings, bound
        self._batch, self._given_frames = batch, given_frames
        self._latents, specs = read_world(folder)
        captions = [spec.caption for spec in specs]
        self._contexts = nn.utils.rnn.pad_sequence([text.embed(c) for c in captions], True).half()
        self._lengths = torch.tensor([len(text.tokens(c)) for c in captions])
        self._blocks = self._latents.shape[2] // settings.frames_per_block
        self._attend = self._teacher_forced()

    def errors(self, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Squared errors of the flow `[B, 16, T, h, w]` of this process's share, and figures.

        The figures are errors of the clean prediction: over all, and at the recipe's step n.
        """
        settings = self._settings
        shape = (self._batch, *self._latents.shape[1:])
        chosen = own_part(torch.randint(len(self._latents), shape[:1], generator=generator))
        timesteps = own_part(_timesteps(settings, (self._batch, self._blocks), generator))
        timesteps = timesteps.repeat_interleave(settings.frames_per_block, dim=1)
        noise, dirt = (own_part(torch.randn(shape, generator=generator)) for _ in range(2))
        dirt *= own_part(CONTEXT_NOISE * torch.rand(self._batch, 1, 1, 1, 1, generator=generator))

        x0 = self._latents[chosen].float()
        clean = (x0 + dirt)[:, :, : -settings.frames_per_block]
        every = torch.cat([torch.zeros(clean.shape[0], clean.shape[2]), timesteps], dim=1)
        sigma = (timesteps / 1000)[:, None, :, None, None]
        both = torch.cat([clean, (1 - sigma) * x0 + sigma * noise], dim=2)
        with torch.autocast("cpu", torch.bfloat16):
            prompt = encode_prompt(
                self._bound, self._contexts[chosen].float(), self._lengths[chosen]
            )
            flow = denoise(self._bound, both, every, self._attend, prompt)
        error = (flow[:, :, clean.shape[2] :].float() - (noise - x0)).square()
        error, sigma = error[:, :, self._given_frames :], sigma[:, :, self._given_frames :]
        return error, self._figures((error.detach() * sigma.square()).mean(dim=(1, 3, 4)), sigma)

    def _teacher_forced(self) -> BlockCausalAttention:
        """Over `[clean blocks but the last | noisy blocks]`."""
        size = self._settings.frames_per_block
        grid = MINI.grid(*self._latents.shape[-2:])
        frames, clean = self._blocks * size, (self._blocks - 1) * size
        pieces = teacher_forced([size] * self._blocks, self._settings.window_blocks * size)
        rope = Rotary(MINI.head_dim, grid, torch.device("cpu")).table(
            [*range(clean), *range(frames)]
        )
        return BlockCausalAttention(
            attend_to_few, rope, [p.times(grid[0] * grid[1]) for p in pieces]
        )

    def _figures(self, x0_mse: Tensor, sigma: Tensor) -> dict[str, float]:
        figures = {f"{self._name}_x0_mse": float(x0_mse.mean())}
        for step, timestep in enumerate(self._settings.timesteps):
            at = sigma.view_as(x0_mse) == timestep / 1000
            if at.any():
                figures[f"{self._name}_x0_mse_step_{step}"] = float(x0_mse[at].mean())
        return figures


def _timesteps(settings: DiTSettings, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """One timestep a block, `shape` being batch and blocks: mostly the recipe's, some any."""
    own = torch.tensor(settings.timesteps)[
        torch.randint(len(settings.timesteps), shape, generator=generator)
    ]
    u = torch.rand(shape, generator=generator)
    anywhere = 1000 * settings.shift * u / (1 + (settings.shift - 1) * u)
    free = torch.rand(shape, generator=generator) < ANY_TIMESTEP_SHARE
    return torch.where(free, anywhere, own)


def _optimizers(model: CausalWan, settings: DiTSettings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for everything else."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        in_block = name.startswith("blocks.") and parameter.dim() == 2
        (matrices if in_block else others).append(parameter)
    return [
        torch.optim.Muon(
            matrices, lr=settings.matrix_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=settings.other_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
