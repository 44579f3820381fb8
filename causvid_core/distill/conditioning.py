"""The prompts of a batch, as the transformer reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class Conditioning(NamedTuple):
    """Prompt embeddings of a batch: context [B, l, text_dim], of which a sample has `lengths` [B].

    The rows after these are zero; l is at most the model's `text_len`.
    """

    context: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, embeddings: Sequence[Tensor]) -> Conditioning:
        """A batch of prompt embeddings, each [l, text_dim] with any l."""
        lengths = torch.tensor([len(embedding) for embedding in embeddings])
        return cls(pad_sequence(list(embeddings), batch_first=True), lengths)

    def to(self, device: torch.device | str) -> Conditioning:
        """The same on a device."""
        return Conditioning(*(tensor.to(device, non_blocking=True) for tensor in self))

    def repeated(self, batch: int) -> Conditioning:
        """A batch of one, repeated for every sample of a larger batch."""
        return Conditioning(self.context.expand(batch, -1, -1), self.lengths.expand(batch))

    def replaced(self, where: Tensor, other: Conditioning) -> Conditioning:
        """With `other`, a batch of one, in place of the samples where [B] is True."""
        rows = max(self.context.shape[1], other.context.shape[1])
        own, given = (
            torch.nn.functional.pad(context, (0, 0, 0, rows - context.shape[1]))
            for context in (self.context, other.context)
        )
        lengths = torch.where(where, other.lengths, self.lengths)
        return Conditioning(torch.where(where[:, None, None], given, own), lengths)
