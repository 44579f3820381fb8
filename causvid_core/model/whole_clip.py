"""The training forward: all blocks in one pass, each seeing what it would when it is sampled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .attention import BlockCausalAttention, FullAttention, SelfAttend
from .binding import BoundWan, as_bound
from .forward import check_latents, denoise
from .pieces import block_causal, split_blocks, teacher_forced
from .prompt import encode_prompt
from .rope import Rotary


def forward_all(
    model: nn.Module | BoundWan,
    noisy: Tensor,
    timesteps: Tensor,
    context: Tensor,
    causal: bool = True,
    frames_per_block: int = 3,
    first_block_frames: int | None = None,
    *,
    window: int | None = None,
    sink: int = 0,
    clean: Tensor | None = None,
    flex: bool = False,
    first_position: int = 0,
    context_lengths: Sequence[int] | Tensor | None = None,
    image_features: Tensor | None = None,
) -> Tensor:
    """Flow of all latent frames at once; differentiable. The training forward.

    noisy [B, C, T, H, W], timesteps [B, T] (or [B, 1]: one for all frames), context
    [B, l, text_dim] with l up to the model's `text_len`. Trailing all-zero rows of a sample's
    context count as padding; `context_lengths` [B] says where it starts without looking (on a
    GPU, looking waits for the device). `causal=False` is the bidirectional teacher. The first
    latent frame sits at `first_position`. Returns [B, 16, T, H, W]. Raises ValueError for
    shapes that do not fit.

    Of a causal model: a block sees `window` latent frames at most, the first `sink` of the clip
    among them, None being all before it. They are the noisy ones, or, with `clean` [B, 16, t, H,
    W], those: clean latents of all blocks but the last, for teacher forcing. `flex` runs the mask
    in one fused call instead of a call a block (see `flex`).
    """
    bound = as_bound(model)
    frames, height, width = check_latents(bound, noisy)
    if timesteps.ndim != 2 or timesteps.shape[0] != noisy.shape[0]:
        raise ValueError(
            f"timesteps have shape {tuple(timesteps.shape)}; expected one a sample and latent "
            f"frame, ({noisy.shape[0]}, {frames})"
        )
    grid = bound.config.grid(height, width)
    prompt = encode_prompt(bound, context, context_lengths, image_features)
    rotary = Rotary(bound.config.head_dim, grid, noisy.device)
    positions = range(first_position, first_position + frames)
    if not causal:
        attend: SelfAttend = FullAttention(bound.attention, rotary.table(positions))
        return denoise(bound, noisy, timesteps, attend, prompt)
    blocks = split_blocks(frames, frames_per_block, first_block_frames)
    pieces = (block_causal if clean is None else teacher_forced)(blocks, window, sink)
    given = 0
    if clean is not None:
        given = sum(blocks[:-1])
        noisy, timesteps = _after_clean(clean, noisy, timesteps, given)
    rope = rotary.table([*positions[:given], *positions])
    in_tokens = [piece.times(grid[0] * grid[1]) for piece in pieces]
    if flex:
        from .flex import FlexBlockCausalAttention  # not in every PyTorch that a host may have

        attend = FlexBlockCausalAttention(rope, in_tokens)
    else:
        attend = BlockCausalAttention(bound.attention, rope, in_tokens)
    return denoise(bound, noisy, timesteps, attend, prompt)[:, :, given:]


def _after_clean(
    clean: Tensor, noisy: Tensor, timesteps: Tensor, given: int
) -> tuple[Tensor, Tensor]:
    """Clean latents, then noisy ones, and the timesteps [B, given + T] of both."""
    expected = (noisy.shape[0], noisy.shape[1], given, *noisy.shape[3:])
    if tuple(clean.shape) != expected:
        raise ValueError(
            f"the clean latents have shape {tuple(clean.shape)}; expected {expected}: those of "
            "all blocks but the last"
        )
    timesteps = timesteps.expand(-1, noisy.shape[2])
    zeros = timesteps.new_zeros(timesteps.shape[0], given)
    return torch.cat((clean, noisy), dim=2), torch.cat((zeros, timesteps), dim=1)
