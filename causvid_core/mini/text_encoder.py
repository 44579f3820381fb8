"""The Mini's text encoder: one fixed direction per word of its vocabulary, padded as Wan pads.

Wan's transformer reads a prompt through cross-attention, which does not know the order of tokens;
the Mini's world needs none (see `vocabulary`), so a word's meaning is its direction alone and the
transformer learns the rest.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor

from ..storage.safetensors_file import read_header, read_tensor
from .files import weights_path
from .vocabulary import VOCABULARY, read_prompt, unknown_words

log = logging.getLogger("causvid")

TEXT_DIM = 4096  # of umT5-XXL, which Wan reads; the host's nodes expect it
TEXT_LEN = 512


def new_table(seed: int = 0) -> Tensor:
    """Directions for the vocabulary `[V, 4096]` of unit deviation, float16; drawn once."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(VOCABULARY), TEXT_DIM, generator=generator).half()


class TextEncoder:
    """Turns a prompt into `[1, 512, 4096]`, zero padded; unknown words are named in the log."""

    def __init__(self, table: Tensor, words: tuple[str, ...] = VOCABULARY) -> None:
        if table.shape != (len(words), TEXT_DIM):
            raise ValueError(
                f"The table of word directions is {tuple(table.shape)}; "
                f"{len(words)} words of {TEXT_DIM} values were expected."
            )
        self.table = table
        self.index = {word: i for i, word in enumerate(words)}

    @classmethod
    def load(cls, path: str | Path | None = None) -> TextEncoder:
        """Read the table from a safetensors file, by default the one that comes with the pack."""
        with open(path or weights_path("text"), "rb") as file:
            entries, metadata = read_header(file)
            return cls(read_tensor(file, entries["words"]), tuple(metadata["words"].split(" ")))

    def tokens(self, text: str) -> list[str]:
        """The words of a prompt that mean something here, in order and once each."""
        return read_prompt(text)[0]

    def unknown_words(self, text: str) -> list[str]:
        """The words of a prompt that mean nothing here, each with the nearest ones that do."""
        return unknown_words(text)

    def embed(self, text: str) -> Tensor:
        """`[tokens, 4096]` in float32, without the padding. Warns about unknown words."""
        unknown = self.unknown_words(text)
        if unknown:
            log.warning(
                "CausVid Mini does not know %s; it knows: %s.",
                "; ".join(unknown),
                ", ".join(self.index),
            )
        return self.table[[self.index[word] for word in self.tokens(text)]].float()

    def encode(self, text: str) -> Tensor:
        """`[1, 512, 4096]` in float32, zero padded."""
        words = self.embed(text)
        return torch.nn.functional.pad(words, (0, 0, 0, TEXT_LEN - len(words)))[None]
