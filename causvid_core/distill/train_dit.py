"""Train the Mini's causal transformer: flow matching under teacher forcing, at the steps it takes.

Every block is learned at once, each noisy block seeing the clean blocks before it in its window,
which is what the KV cache holds when it samples (teacher forcing as in Causal Forcing,
arXiv 2602.02214; CausVid's own first stage lets blocks see noisy ones). As the student takes four
steps only, most of the training happens at the noise levels of those four.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..mini.text_encoder import TextEncoder
from ..model.binding import bind
from ..model.config import WanConfig
from ..model.forward import denoise
from ..model.prompt import encode_prompt
from ..model.rope import Rotary, rotate
from ..model.transformer import CausalWan
from .latents import read_world
from .parallel import own_part
from .trainer import TrainSettings, train

log = logging.getLogger("causvid")

MINI = WanConfig(dim=256, ffn_dim=768, num_heads=2, num_layers=6)
ANY_TIMESTEP_SHARE = 0.2  # of blocks, for sampling at other steps than the recipe's
OWN_INPUT_SHARE = 0.75  # of the blocks at the third step and later, see `DiTSettings`
CONTEXT_NOISE = 0.1  # at most; the clean blocks that sampling sees are not perfect either


@dataclass(frozen=True)
class DiTSettings:
    timesteps: tuple[float, ...]  # the recipe's, warped
    shift: float
    frames_per_block: int
    window_blocks: int
    steps: int = 2700
    own_inputs_from: int = 1500  # training step; see `_own_inputs`
    batch: int = 12
    matrix_rate: float = 2e-3  # Muon, for the blocks' matrices
    other_rate: float = 1.5e-3  # AdamW, for the rest
    seed: int = 0


class TeacherForced:
    """Self-attention over `[clean blocks but the last | noisy blocks]`, all `[B, N, h, d]`.

    A clean block sees the clean blocks of its window; a noisy one sees the clean ones before it
    in its window, and itself. Calling it follows `model.attention.SelfAttend`.
    """

    def __init__(self, rotary: Rotary, blocks: int, frames_per_block: int, window: int) -> None:
        frames = blocks * frames_per_block
        clean = (blocks - 1) * frames_per_block
        self._rope = rotary.table([*range(clean), *range(frames)])
        tokens = self._rope.shape[0] // (clean + frames)
        self._size = frames_per_block * tokens
        self._blocks, self._window = blocks, window

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = rotate(q, self._rope), rotate(k, self._rope)
        clean_count = self._blocks - 1
        pieces = list(zip(*(t.split(self._size, dim=1) for t in (q, k, v)), strict=True))
        clean, noisy = pieces[:clean_count], pieces[clean_count:]
        outputs = []
        for index, (query, _, _) in enumerate(clean):
            seen = clean[max(0, index - self._window + 1) : index + 1]
            outputs.append(_attend(query, seen))
        for index, own in enumerate(noisy):
            seen = clean[max(0, index - self._window + 1) : index]
            outputs.append(_attend(own[0], [*seen, own]))
        return torch.cat(outputs, dim=1)


def _attend(query: Tensor, seen: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Written out: at these few tokens it trains three times as fast as the fused attention."""
    keys = torch.cat([k for _, k, _ in seen], dim=1).permute(0, 2, 3, 1)
    values = torch.cat([v for _, _, v in seen], dim=1).transpose(1, 2)
    weights = (query.transpose(1, 2) @ keys * query.shape[-1] ** -0.5).softmax(dim=-1)
    return (weights.to(values.dtype) @ values).transpose(1, 2)


def train_dit(settings: DiTSettings, data: Path, folder: Path, text: TextEncoder):
    """Train, or resume, in `folder` on the latents of `data`; returns the averaged state dict."""
    torch.manual_seed(settings.seed)
    model = CausalWan(MINI)
    bound = bind(model)
    latents, specs = read_world(data)
    contexts = nn.utils.rnn.pad_sequence([text.embed(s.caption) for s in specs], True).half()
    lengths = torch.tensor([len(text.tokens(s.caption)) for s in specs])
    blocks = latents.shape[2] // settings.frames_per_block
    grid = MINI.grid(*latents.shape[-2:])
    attend = TeacherForced(
        Rotary(MINI.head_dim, grid, torch.device("cpu")),
        blocks,
        settings.frames_per_block,
        settings.window_blocks,
    )

    def loss_of_step(step: int, generator: torch.Generator):
        shape = (settings.batch, *latents.shape[1:])
        chosen = own_part(torch.randint(len(specs), shape[:1], generator=generator))
        timesteps, before = (
            own_part(t).repeat_interleave(settings.frames_per_block, dim=1)
            for t in _timesteps(settings, blocks, generator)
        )
        noise, dirt, earlier = (
            own_part(torch.randn(shape, generator=generator)) for _ in range(3)
        )
        dirt *= own_part(CONTEXT_NOISE * torch.rand(shape[0], 1, 1, 1, 1, generator=generator))

        x0 = latents[chosen].float()
        clean = (x0 + dirt)[:, :, : -settings.frames_per_block]
        at_zero = torch.zeros(clean.shape[0], clean.shape[2])

        def flow_of(noisy: Tensor, frame_timesteps: Tensor) -> Tensor:
            every = torch.cat([at_zero, frame_timesteps], dim=1)
            out = denoise(bound, torch.cat([clean, noisy], dim=2), every, attend, prompt)
            return out[:, :, clean.shape[2] :].float()

        with torch.autocast("cpu", torch.bfloat16):
            prompt = encode_prompt(bound, contexts[chosen].float(), lengths[chosen])
            x0_in = x0
            if step >= settings.own_inputs_from:
                x0_in = _own_inputs(flow_of, x0, before, earlier)
            sigma = _sigma(timesteps)
            flow = flow_of((1 - sigma) * x0_in + sigma * noise, timesteps)
        # The flow from this input to the true latents; noise - x0 where the input is true too.
        wanted = noise + (1 - sigma) / sigma.clamp(min=1e-3) * (x0_in - x0) - x0
        error = (flow - wanted).square()
        by_sigma = (error.detach() * sigma.square()).mean(dim=(1, 3, 4))
        figures = {"flow_mse": float(error.detach().mean()), "x0_mse": float(by_sigma.mean())}
        last = timesteps == settings.timesteps[-1]
        if last.any():
            figures["x0_mse_last_step"] = float(by_sigma[last].mean())
        return error.mean(), figures

    return train(
        model,
        _optimizers(model, settings),
        loss_of_step,
        TrainSettings(settings.steps, settings.seed, ema_decay=0.998),
        folder / "dit.pt",
    )


def _timesteps(
    settings: DiTSettings, blocks: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One timestep a block `[batch, blocks]`: mostly the recipe's, some from anywhere.

    And the one before it, where the block's input is to come from the model's own prediction
    there; else 0.
    """
    shape = (settings.batch, blocks)
    own = torch.tensor(settings.timesteps)
    index = torch.randint(len(own), shape, generator=generator)
    u = torch.rand(shape, generator=generator)
    anywhere = 1000 * settings.shift * u / (1 + (settings.shift - 1) * u)
    free = torch.rand(shape, generator=generator) < ANY_TIMESTEP_SHARE
    chained = torch.rand(shape, generator=generator) < OWN_INPUT_SHARE
    chained &= ~free & (index >= 2)
    before = torch.where(chained, own[(index - 1).clamp(min=0)], 0.0)
    return torch.where(free, anywhere, own[index]), before


def _sigma(timesteps: Tensor) -> Tensor:
    """Noise levels that broadcast over latents, from timesteps `[B, T]`."""
    return (timesteps / 1000)[:, None, :, None, None]


@torch.no_grad()
def _own_inputs(
    flow_of: Callable[[Tensor, Tensor], Tensor], x0: Tensor, before: Tensor, noise: Tensor
) -> Tensor:
    """Clean latents as sampling would know them: predicted at the step before, where there is one.

    Sampling noises the model's own prediction, not the truth. Learning from it, a later step
    mends what an earlier one left vague (the rollout of Self-Forcing, arXiv 2506.08009, by one
    step and with the true latents as the target).
    """
    sigma = _sigma(before)
    noisy = (1 - sigma) * x0 + sigma * noise
    return noisy - sigma * flow_of(noisy, before)


def _optimizers(model: CausalWan, settings: DiTSettings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for everything else."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        in_block = name.startswith("blocks.") and parameter.dim() == 2
        (matrices if in_block else others).append(parameter)
    return [
        torch.optim.Muon(
            matrices,
            lr=settings.matrix_rate,
            weight_decay=0.01,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(others, lr=settings.other_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
