"""How long, how many steps and how large: what the next blocks come to before any is made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..model.binding import BoundWan
from ..model.config import WanConfig
from . import geometry
from .prompt_cache import PromptPlan, Prompts
from .recipe import Recipe
from .segment import CARRY, starts_afresh
from .state import StreamState
from .window import WindowPolicy


def latent_frames_for(state: StreamState, px_frames: int) -> int:
    """Fewest latent frames that add `px_frames` px frames to a stream."""
    continued = int(state.blocks > 0)  # only the very first px frame has a latent frame of its own
    return geometry.latent_frames_from_px(px_frames + continued) - continued


def blocks_for(state: StreamState, px_frames: int) -> int:
    """Fewest blocks that add `px_frames` px frames to a stream."""
    return state.policy.blocks_for(state.blocks, latent_frames_for(state, px_frames))


def px_of(policy: WindowPolicy, first: int, blocks: int) -> int:
    """Px frames of `blocks` blocks from block `first` on, without a cut among them."""
    frames = policy.frames_before(first + blocks) - policy.frames_before(first)
    return frames * geometry.TIME_SCALE - (0 if first else geometry.TIME_SCALE - 1)


def whole_px(state: StreamState, wanted: int, given: int, hold: bool) -> int:
    """Px frames of the whole blocks to make of footage: at least one block.

    They are the fewest blocks that hold `wanted` px frames. When the footage's `given` px frames
    do not fill the last one, it is kept only if `hold` says to repeat the last frame.
    """
    blocks = blocks_for(state, wanted)
    if px_of(state.policy, state.blocks, blocks) > given and not hold:
        blocks = max(1, blocks - 1)
    return px_of(state.policy, state.blocks, blocks)


def switches_ahead(
    bound: BoundWan, state: StreamState, context: Tensor | PromptPlan, switch: str, blocks: int
) -> list[str]:
    """The mode (see `segment`) that a `rollout` with these arguments applies before each block."""
    prompts, first = Prompts(bound, state.batch, context, switch), state.blocks
    before = state.history[-1].context if first else None
    # The prompt before later blocks: a plan does not look at it, and a single prompt stays itself.
    own = prompts.context(first)
    switches, pending = [], state.switch
    for block in range(first, first + blocks):
        switches.append(prompts.switch(block, before, pending))
        before, pending = own, CARRY
    return switches


def steps_ahead(state: StreamState, switches: Sequence[str]) -> list[int]:
    """Denoising steps of each of the next blocks; a segment's first block may have more."""
    segment, steps = state.segment, []
    for block, switch in enumerate(switches, state.blocks):
        segment = segment.before(block, switch)
        steps.append(len(state.recipe.schedule(segment.place(block)).timesteps))
    return steps


def px_ahead(state: StreamState, switches: Sequence[str]) -> int:
    """Px frames that the next blocks decode to."""
    cuts = sum(
        1 for block, switch in enumerate(switches, state.blocks) if block and starts_afresh(switch)
    )
    px = px_of(state.policy, state.blocks, len(switches))
    return px - cuts * (geometry.TIME_SCALE - 1)


def stream_memory_bytes(
    recipe: Recipe,
    config: WanConfig,
    height: int,
    width: int,
    batch: int = 1,
    dtype: torch.dtype = torch.bfloat16,
    latent_frames: int | None = None,
) -> int:
    """Bytes on the device besides the weights: the ring, the prompt's keys and values, and one
    block's activations.

    height and width of a latent frame. latent_frames: length of a stream whose recipe keeps
    everything; a clip of 5 seconds when None.
    """
    policy = WindowPolicy.of(recipe)
    if latent_frames is None:
        latent_frames = geometry.latent_frames_from_px(geometry.px_frames_from_seconds(5))
    frame_tokens = config.tokens_per_frame(height, width)
    kept = kv_bytes(config, policy.capacity(latent_frames) * frame_tokens, batch, dtype)
    if recipe.positions == "relative":
        kept += kept // (2 * config.num_layers)  # one layer's keys, rotated at use
    prompt = kv_bytes(config, config.text_len, batch, dtype)
    block = max(policy.frames_per_block, policy.first_block_frames) * frame_tokens * batch
    return kept + prompt + block * _activation_bytes(config, dtype)


def kv_bytes(config: WanConfig, tokens: int, batch: int, dtype: torch.dtype) -> int:
    """Bytes of the keys and values of `tokens` tokens in all layers."""
    return 2 * config.num_layers * batch * tokens * config.dim * dtype.itemsize


def _activation_bytes(config: WanConfig, dtype: torch.dtype) -> int:
    """Peak bytes a token takes within a layer.

    In attention: tokens, queries, keys, values and output, and one of them in float32 twice while
    it is rotated. In the feed-forward: tokens twice, and the hidden layer before and after its
    activation.
    """
    attention = 6 * config.dim * dtype.itemsize + 2 * config.dim * torch.float32.itemsize
    feed_forward = 2 * (config.dim + config.ffn_dim) * dtype.itemsize
    return max(attention, feed_forward)
