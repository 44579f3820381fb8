"""The Mini's text encoder as a CLIP of the host.

The host's own CLIP class does the rest (placement, clones, hooks, patches); it is handed a model
and a tokenizer as it is for every text encoder.
"""

import logging
from types import SimpleNamespace
from typing import Any

import comfy.sd
import torch
from torch import Tensor

from ....causvid_core.mini import TextEncoder, weights_path
from ..messages import message
from ..notice import show

TOKENS = "causvid_mini"


class MiniTokenizer:
    """Words of a prompt that the Mini knows; the host asks for `[[(token, weight), ...]]`."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    def tokenize_with_weights(
        self, text: str, return_word_ids: bool = False, **options: Any
    ) -> dict[str, list[list[tuple]]]:
        """Tokens of `text`; a notice names the words that mean nothing to the Mini."""
        unknown = self._encoder.unknown_words(text)
        if unknown:
            show(message("mini.unknown_words", words="; ".join(unknown)), logging.WARNING)
        tokens = self._encoder.tokens(text)
        ids = [(n,) if return_word_ids else () for n in range(1, len(tokens) + 1)]
        return {TOKENS: [[(word, 1.0, *number) for word, number in zip(tokens, ids, strict=True)]]}

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing is learned here."""
        return {}


class MiniTextModel(torch.nn.Module):
    """The text encoder behind the calls that the host makes of any text encoder."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self._encoder = encoder
        self.table = torch.nn.Parameter(encoder.table, requires_grad=False)
        self.dtypes = {encoder.table.dtype}

    def reset_clip_options(self) -> None:
        """There are no options to reset."""

    def set_clip_options(self, options: dict[str, Any]) -> None:
        """Layers and projections of other encoders mean nothing here and are passed over."""

    def encode_token_weights(self, tokens: dict[str, list[list[tuple]]]) -> tuple[Tensor, None]:
        """Embeddings `[1, 512, 4096]` of tokens from `MiniTokenizer`, and no pooled output."""
        words = [token[0] for token in tokens[TOKENS][0]]
        return self._encoder.encode(" ".join(words)), None


def load_mini_clip() -> comfy.sd.CLIP:
    """The Mini's text encoder; it looks words up in a small table and stays on the CPU."""
    encoder = TextEncoder.load(weights_path("text"))

    def model(**options: Any) -> MiniTextModel:
        return MiniTextModel(encoder)

    def tokenizer(**options: Any) -> MiniTokenizer:
        return MiniTokenizer(encoder)

    cpu = torch.device("cpu")
    devices = {"load_device": cpu, "offload_device": cpu, "initial_device": cpu}
    target = SimpleNamespace(params={}, clip=model, tokenizer=tokenizer)
    return comfy.sd.CLIP(target, parameters=encoder.table.numel(), model_options=devices)
