"""How much device memory a stream takes beside the weights, before it takes it."""

from __future__ import annotations

import torch

from ..model.config import WanConfig
from .geometry import FPS, latent_frames_from_px, px_frames_from_seconds
from .recipe import Recipe
from .window import WindowPolicy

_CLIP_SECONDS = 5


def stream_memory_bytes(
    recipe: Recipe,
    config: WanConfig,
    height: int,
    width: int,
    batch: int = 1,
    dtype: torch.dtype = torch.bfloat16,
    latent_frames: int | None = None,
) -> int:
    """Bytes on the device: the ring, the prompt's keys and values and one block's activations.

    height and width of a latent frame. latent_frames: length of a stream whose recipe keeps
    everything; a clip of 5 seconds when None.
    """
    policy = WindowPolicy.of(recipe)
    if latent_frames is None:
        latent_frames = latent_frames_from_px(px_frames_from_seconds(_CLIP_SECONDS, FPS))
    frame_tokens = config.tokens_per_frame(height, width)
    kept = kv_bytes(config, policy.capacity(latent_frames) * frame_tokens, batch, dtype)
    if recipe.positions == "relative":
        kept += kept // (2 * config.num_layers)  # one layer's keys, turned at use
    prompt = kv_bytes(config, config.text_len, batch, dtype)
    block = max(policy.frames_per_block, policy.first_block_frames) * frame_tokens * batch
    return kept + prompt + block * _activation_bytes(config, dtype)


def kv_bytes(config: WanConfig, tokens: int, batch: int, dtype: torch.dtype) -> int:
    """Bytes of the keys and values of `tokens` tokens in all layers."""
    return 2 * config.num_layers * batch * tokens * config.dim * dtype.itemsize


def _activation_bytes(config: WanConfig, dtype: torch.dtype) -> int:
    """Peak bytes a token takes within a layer.

    In attention: tokens, queries, keys, values and output, and one of them in float32 twice
    while it is turned. In the feed-forward: tokens twice, and the hidden layer before and after
    its activation.
    """
    attention = 6 * config.dim * dtype.itemsize + 2 * config.dim * torch.float32.itemsize
    feed_forward = 2 * (config.dim + config.ffn_dim) * dtype.itemsize
    return max(attention, feed_forward)
