"""Classifier-free guidance: the flow under a prompt, led away from an empty or negative one.

A guidance scale is CFG's, as samplers count it: uncond + scale * (cond - uncond), and 1 is the
prompt alone. CausVid and DMD write the same as cond + (scale - 1) * (cond - uncond); this module
alone converts one into the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .conditioning import Conditioning
from .network import Network


class Guidance(NamedTuple):
    """A guidance scale, and the empty or negative prompt, a batch of one, to lead away from.

    `negative` may be None where scale is 1.
    """

    scale: float = 1.0
    negative: Conditioning | None = None

    @property
    def weight(self) -> float:
        """What DMD calls its guidance: the weight of (cond - uncond) on top of cond."""
        return dmd_weight(self.scale)


def dmd_weight(scale: float) -> float:
    """A guidance scale of CFG in DMD's convention."""
    return round(scale - 1, 9)


def cfg_scale(weight: float) -> float:
    """A guidance of DMD's convention as a guidance scale of CFG."""
    return round(weight + 1, 9)


def draw_unconditional(generator: torch.Generator, batch: int, probability: float) -> Tensor:
    """Which samples [B] learn without their prompt, so that the model can be guided: booleans."""
    return torch.rand(batch, generator=generator) < probability


def guided_flow(
    network: Network,
    noisy: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
) -> Tensor:
    """The flow of a network under guidance; see `Network.flow` and `guided_prompts`."""
    prompts = guided_prompts(conditioning, guidance, noisy.shape[0])
    return guided([network.flow(noisy, timesteps, prompt) for prompt in prompts], guidance)


def guided_prompts(
    conditioning: Conditioning, guidance: Guidance, batch: int
) -> list[Conditioning]:
    """The prompts whose flows guidance needs: the batch's, and the negative one unless scale is 1.

    Raises ValueError when the negative prompt is missing.
    """
    if guidance.weight == 0:
        return [conditioning]
    if guidance.negative is None:
        raise ValueError(
            f"a guidance scale of {guidance.scale:g} needs a prompt to lead away from; give the "
            "embedding of the empty or of a negative prompt, or set the scale to 1"
        )
    return [conditioning, guidance.negative.repeated(batch)]


def guided(flows: Sequence[Tensor], guidance: Guidance) -> Tensor:
    """The flows of `guided_prompts`, combined."""
    if len(flows) == 1:
        return flows[0]
    return flows[0] + guidance.weight * (flows[0] - flows[1])
