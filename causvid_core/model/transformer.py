"""`CausalWan`: the module tree of a Wan transformer with the training forward."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .modules import Block, WanTree
from .whole_clip import forward_all

__all__ = ["Block", "CausalWan"]


class CausalWan(WanTree):
    """A Wan 2.1 transformer with fresh weights."""

    def forward(self, noisy: Tensor, timesteps: Tensor, context: Tensor, **options: Any) -> Tensor:
        """`forward_all` of this model, so that wrappers of modules find a forward."""
        return forward_all(self, noisy, timesteps, context, **options)
