"""What a pass of a transformer computes and keeps, counted without running it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from ...model.config import WanConfig
from ...model.flops import pass_flop, prompt_flop
from ...model.pieces import block_causal, split_blocks, teacher_forced
from ...model.transformer import Block, CausalWan
from ...stream.recipe import Recipe


@dataclass(frozen=True)
class Pass:
    """One sample through a transformer: latents of frames x height x width, and a prompt.

    recipe: of a causal pass; None for full attention. prompt_rows: rows of the prompt that are
    computed; None for all of `text_len`. teacher_forcing: the clean latents of all blocks but the
    last are part of the pass.
    """

    config: WanConfig
    frames: int
    height: int
    width: int
    recipe: Recipe | None = None
    prompt_rows: int | None = None
    teacher_forcing: bool = False

    @property
    def rows(self) -> int:
        """Rows of the prompt."""
        return self.prompt_rows or self.config.text_len

    @property
    def tokens_per_frame(self) -> int:
        """Tokens of a latent frame."""
        rows, columns = self.config.grid(self.height, self.width)
        return rows * columns

    @property
    def tokens(self) -> int:
        """Tokens of a sample, the clean ones included."""
        return self.all_frames * self.tokens_per_frame

    @property
    def all_frames(self) -> int:
        """Latent frames that are computed, the clean ones included."""
        return self.frames + (sum(self._blocks()[:-1]) if self.teacher_forcing else 0)

    def pairs(self) -> int:
        """Pairs of a query and a key that it sees, in a layer."""
        if self.recipe is None:
            return self.tokens**2
        mask = teacher_forced if self.teacher_forcing else block_causal
        pieces = mask(self._blocks(), self.recipe.window, self.recipe.sink)
        pairs = sum(piece.queries * sum(map(len, piece.keys)) for piece in pieces)
        return pairs * self.tokens_per_frame**2

    def _blocks(self) -> list[int]:
        if self.recipe is None:
            return [self.frames]
        first = self.recipe.first_block_frames
        return split_blocks(self.frames, self.recipe.frames_per_block, first)

    def forward_flops(self) -> int:
        """Floating point operations of one forward pass, the prompt's included."""
        each = pass_flop(self.config, self.tokens, self.pairs(), self.rows, self.all_frames)
        return prompt_flop(self.config, self.rows) + each

    def activation_bytes(self, gradient_checkpointing: bool, itemsize: int) -> float:
        """Bytes that a sample keeps for its gradient.

        With gradient checkpointing the input of every layer, and all of the one layer that is
        computed again; without it all of all layers.
        """
        c = self.config
        layer = self.tokens * (_KEPT_DIM * c.dim + _KEPT_FFN * c.ffn_dim) * itemsize
        layer += self.tokens * _KEPT_FLOAT * c.dim * 4
        if not gradient_checkpointing:
            return c.num_layers * layer + self.around_bytes(itemsize)
        inputs = c.num_layers * self.tokens * c.dim * itemsize
        return inputs + layer + self.around_bytes(itemsize)

    def around_bytes(self, itemsize: int) -> float:
        """Bytes kept outside the layers: the prompt's keys and values, the embeddings, the head."""
        c = self.config
        prompt = (4 * c.num_layers + 4) * self.rows * c.dim
        return (prompt + 3 * self.tokens * c.dim) * itemsize + self.all_frames * 14 * c.dim * 4

    def cache_bytes(self, itemsize: int) -> float:
        """Keys and values of all latent frames, as a rollout in training keeps them."""
        return 2.0 * self.config.num_layers * self.tokens * self.config.dim * itemsize


# Values that a layer keeps for each token: inputs of projections, norms, gates and attention.
_KEPT_DIM, _KEPT_FFN, _KEPT_FLOAT = 20, 2, 4


@lru_cache
def parameters(config: WanConfig, part: type[CausalWan | Block] = CausalWan) -> int:
    """Parameters of a transformer of these sizes, or of its `Block`, the unit that FSDP gathers."""
    with torch.device("meta"):
        return sum(p.numel() for p in part(config).parameters())
