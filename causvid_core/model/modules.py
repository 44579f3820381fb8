"""A module tree with Wan 2.1's parameter names, and nothing else in it.

The arithmetic lives in `forward.py`, which runs over any tree with these names.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import WanConfig


class RMSNorm(nn.Module):
    """Root mean square norm over the last axis, accumulated in float32 (safe in float16)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] -> [..., dim]."""
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


class SelfAttention(nn.Module):
    """Projections of self-attention."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        dim = config.dim
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = (_qk_norm(config) for _ in range(2))


class CrossAttention(SelfAttention):
    """Projections of attention to the prompt and, for image-to-video models, to an image."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__(config)
        if config.model_type == "i2v":
            self.k_img, self.v_img = (nn.Linear(config.dim, config.dim) for _ in range(2))
            self.norm_k_img = _qk_norm(config)


class Block(nn.Module):
    """One transformer layer."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        dim, eps = config.dim, config.eps
        self.norm1 = nn.LayerNorm(dim, eps, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(dim, eps, elementwise_affine=False)
        self.norm3 = nn.LayerNorm(dim, eps) if config.cross_attn_norm else nn.Identity()
        self.self_attn = SelfAttention(config)
        self.cross_attn = CrossAttention(config)
        self.ffn = nn.Sequential(
            nn.Linear(dim, config.ffn_dim), nn.GELU("tanh"), nn.Linear(config.ffn_dim, dim)
        )
        self.modulation = nn.Parameter(torch.randn(1, 6, dim) / math.sqrt(dim))


class Head(nn.Module):
    """The projection from tokens to the pixels of their patch."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        dim = config.dim
        self.norm = nn.LayerNorm(dim, config.eps, elementwise_affine=False)
        self.head = nn.Linear(dim, math.prod(config.patch_size) * config.out_dim)
        self.modulation = nn.Parameter(torch.randn(1, 2, dim) / math.sqrt(dim))


class ImageEmbedding(nn.Module):
    """CLIP vision features to tokens that image-to-video models attend to."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        width = config.image_dim
        self.proj = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, config.dim),
            nn.LayerNorm(config.dim),
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, tokens, image_dim] -> [B, tokens, dim]."""
        tokens: Tensor = self.proj(features)
        return tokens


class WanTree(nn.Module):
    """The modules of a Wan 2.1 transformer, with fresh weights; nothing but Wan's names."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.patch_embedding = nn.Conv3d(
            config.in_dim, dim, kernel_size=config.patch_size, stride=config.patch_size
        )
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU("tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(
            nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.head = Head(config)
        if config.model_type == "i2v":
            self.img_emb = ImageEmbedding(config)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embedding.weight.flatten(1))
        for embedding in (self.text_embedding, self.time_embedding):
            for layer in (embedding[0], embedding[2]):
                nn.init.normal_(cast(nn.Linear, layer).weight, std=0.02)
        # A flow of zero is the mean prediction: the best start for training.
        nn.init.zeros_(self.head.head.weight)


def _qk_norm(config: WanConfig) -> nn.Module:
    return RMSNorm(config.dim, config.eps) if config.qk_norm else nn.Identity()
