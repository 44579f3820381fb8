"""What a batch is asked to show, and classifier-free guidance towards it.

Guidance is `cond + scale * (cond - uncond)` everywhere, as in DMD's settings: scale 0 is the
prompt alone, and the customary guidance scale of samplers is one more than this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

if TYPE_CHECKING:
    from .network import Network


class Conditioning(NamedTuple):
    """Prompts of a batch: context [B, l, text_dim], of which each sample has `lengths` [B] rows.

    The rows after them are zero; l is at most the model's `text_len`.
    """

    context: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, texts: Sequence[Tensor]) -> Conditioning:
        """Of encoded prompts, [l, text_dim] each, of any lengths."""
        lengths = torch.tensor([len(text) for text in texts])
        return cls(pad_sequence(list(texts), batch_first=True), lengths)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Conditioning:
        """On a device, the context in a dtype."""
        return Conditioning(
            self.context.to(device, dtype, non_blocking=True),
            self.lengths.to(device, non_blocking=True),
        )

    def repeated(self, batch: int) -> Conditioning:
        """A single prompt for every sample of a batch."""
        return Conditioning(self.context.expand(batch, -1, -1), self.lengths.expand(batch))

    def replaced(self, where: Tensor, other: Conditioning) -> Conditioning:
        """The single prompt `other` in place of the samples where [B] is True."""
        own, given = _of_one_length(self.context, other.context)
        lengths = torch.where(where, other.lengths, self.lengths)
        return Conditioning(torch.where(where[:, None, None], given, own), lengths)


class Guidance(NamedTuple):
    """How far, and away from what: the empty prompt, or a negative one for published Wan models.

    negative: a batch of one. None is allowed where scale is 0.
    """

    scale: float = 0.0
    negative: Conditioning | None = None


def draw_dropped(generator: torch.Generator, batch: int, share: float) -> Tensor:
    """Samples [B] that learn without their prompt, so that a teacher can be guided: booleans."""
    return torch.rand(batch, generator=generator) < share


def guided_flow(
    network: Network,
    noisy: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
) -> Tensor:
    """Flow of a network under guidance; see `Network.flow`. ValueError without a negative."""
    sides = sides_of(conditioning, guidance, noisy.shape[0])
    return guided([network.flow(noisy, timesteps, side) for side in sides], guidance)


def sides_of(conditioning: Conditioning, guidance: Guidance, batch: int) -> list[Conditioning]:
    """The prompts that guidance needs the flow of: those of the batch, and what to lead away from.

    Raises ValueError when that is missing.
    """
    if guidance.scale == 0:
        return [conditioning]
    if guidance.negative is None:
        raise ValueError(
            f"guidance {guidance.scale:g} has nothing to lead away from; give the encoding of the "
            "empty or of a negative prompt, or set guidance to 0"
        )
    return [conditioning, guidance.negative.repeated(batch)]


def guided(flows: Sequence[Tensor], guidance: Guidance) -> Tensor:
    """The flows of `sides_of` as one."""
    if len(flows) == 1:
        return flows[0]
    return flows[0] + guidance.scale * (flows[0] - flows[1])


def _of_one_length(*contexts: Tensor) -> list[Tensor]:
    length = max(context.shape[1] for context in contexts)
    return [
        torch.nn.functional.pad(context, (0, 0, 0, length - context.shape[1]))
        for context in contexts
    ]
