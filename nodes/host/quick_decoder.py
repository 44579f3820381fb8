"""The decoder that live pictures are made with: quick enough to be no burden beside a rollout."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor


def quick_decoder(model: ModelPatcher) -> Any:
    """A decoder of this MODEL's latents, as causvid_core.media.decoding describes them."""
    latent_format = model.model.latent_format
    return _Linear(latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias)


class _Linear:
    def __init__(self, factors: list[list[float]], bias: list[float] | None) -> None:
        self._factors = torch.tensor(factors)
        self._bias = torch.zeros(3) if bias is None else torch.tensor(bias)
        self.reset()

    def push(self, latents: Tensor) -> None:
        device = latents.device
        colours = torch.einsum("bcthw,cr->brthw", latents.float(), self._factors.to(device))
        colours = (colours + self._bias.to(device)[:, None, None, None] + 1) / 2
        counts = torch.full((latents.shape[2],), 4)
        if self.memory:
            counts[0] = 1
        self.memory = ()
        self._ready.append(colours.clamp(0, 1).repeat_interleave(counts.to(device), dim=2))

    def pop(self) -> Tensor | None:
        return self._ready.pop(0) if self._ready else None

    def flush(self) -> None:
        """Nothing waits."""

    def reset(self) -> None:
        self.memory: tuple = (True,)
        self._ready: list[Tensor] = []
