"""The host's attention in the core's terms."""

from typing import Any

import comfy.model_management
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor


class HostAttention:
    """What the host was started with (PyTorch, xFormers, Sage, Flash ...), or a MODEL's override.

    Each call first lets the artist's Cancel through, so that it works within a step.
    """

    def __init__(self, transformer_options: dict[str, Any]) -> None:
        self._options = transformer_options

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """q [B, Nq, h, d], k and v [B, Nk, h, d], bias [b, h or 1, n, Nk] -> [B, Nq, h, d]."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        heads = q.shape[2]
        if bias is not None:
            bias = bias.expand(q.shape[0], -1, q.shape[1], -1)
        out = optimized_attention(
            q.flatten(2),
            k.flatten(2),
            v.flatten(2),
            heads=heads,
            mask=bias,
            transformer_options=self._options,
        )
        return out.unflatten(2, (heads, -1))
