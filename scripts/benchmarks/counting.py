"""The least that a clip costs: operations and bytes, counted from the sizes of the model."""

from __future__ import annotations

import math
from typing import NamedTuple

from causvid_core import Recipe, WanConfig
from causvid_core.model.flops import clean_pass_flop, pass_flop, prompt_flop
from causvid_core.stream.window import WindowPolicy


class Cost(NamedTuple):
    """Floating-point operations, and bytes that must be moved from or to memory."""

    flop: int
    bytes: int


def clip_cost(
    config: WanConfig,
    recipe: Recipe,
    height: int,
    width: int,
    latent_frames: int,
    prompt_rows: int,
    itemsize: int,
) -> Cost:
    """Cost of a clip with a KV cache, for a batch of one.

    Every block takes its denoising steps and, except for the last, a clean pass, which ends with
    the keys and values of the last layer. height, width: of a latent frame. prompt_rows: rows of
    cross-attention keys that differ. itemsize: bytes of a number. Bytes count, for every pass, one
    read of the weights and of the visible keys and values and one write of the new ones;
    activations are assumed to stay in the processor's caches.
    """
    policy, tokens = WindowPolicy.of(recipe), config.tokens_per_frame(height, width)
    blocks = policy.blocks_for(0, latent_frames)
    flop, passes, read, written = prompt_flop(config, prompt_rows), 0, 0, 0
    for block in range(blocks):
        span = policy.span(block)
        queries, keys = span.frames * tokens, policy.filled(span.end) * tokens
        steps, clean = len(recipe.schedule(block).timesteps), int(block < blocks - 1)
        flop += steps * pass_flop(config, queries, queries * keys, prompt_rows)
        flop += clean * clean_pass_flop(config, queries, queries * keys, prompt_rows)
        passes += steps + clean
        read += (steps + clean) * keys
        written += (steps + clean) * queries
    kept = 2 * config.num_layers * config.dim * (read + written)
    return Cost(flop, itemsize * (passes * _weights(config) + kept))


def _weights(config: WanConfig) -> int:
    """How many numbers are in the matrices that a pass reads."""
    dim = config.dim
    layer = 6 * dim**2 + 2 * dim * config.ffn_dim
    patch = math.prod(config.patch_size) * (config.in_dim + config.out_dim) * dim
    return config.num_layers * layer + patch + config.freq_dim * dim + 7 * dim**2
