"""Operations of a Wan transformer, counted from its sizes.

Only products of matrices count, a multiplication and an addition as two, as usual for a machine's
rate; norms, activations and rotations come to a few percent more work but hardly any operations.
"""

from __future__ import annotations

import math

from .config import WanConfig


def pass_flop(
    config: WanConfig, queries: int, pairs: int, prompt_rows: int, timesteps: int = 1
) -> int:
    """Operations of one call over `queries` tokens with `pairs` pairs of a token and one it sees.

    prompt_rows: of cross-attention keys. timesteps: different ones, each embedded once.
    """
    layers = config.num_layers * _layer_flop(config, queries, pairs, prompt_rows)
    out = 2 * queries * config.dim * math.prod(config.patch_size) * config.out_dim
    return _embedding_flop(config, queries, timesteps) + layers + out


def clean_pass_flop(config: WanConfig, queries: int, pairs: int, prompt_rows: int) -> int:
    """Operations of a clean pass, which ends at the last layer's keys and values."""
    layers = (config.num_layers - 1) * _layer_flop(config, queries, pairs, prompt_rows)
    return _embedding_flop(config, queries, 1) + layers + 2 * queries * 2 * config.dim**2


def prompt_flop(config: WanConfig, rows: int) -> int:
    """Operations of embedding a prompt and projecting it for every layer."""
    dim = config.dim
    return 2 * rows * (config.text_dim * dim + dim**2 + config.num_layers * 2 * dim**2)


def _layer_flop(config: WanConfig, queries: int, pairs: int, prompt_rows: int) -> int:
    """Four projections for self-attention, two for cross-attention, the feed-forward, and the
    two products of each attention.
    """
    products = 2 * queries * (6 * config.dim**2 + 2 * config.dim * config.ffn_dim)
    return products + 4 * config.dim * (pairs + queries * prompt_rows)


def _embedding_flop(config: WanConfig, queries: int, timesteps: int) -> int:
    """Patches to tokens, and each timestep to the modulation of its tokens."""
    dim = config.dim
    patches = 2 * queries * config.in_dim * math.prod(config.patch_size) * dim
    return patches + 2 * timesteps * (config.freq_dim * dim + dim**2 + 6 * dim**2)
