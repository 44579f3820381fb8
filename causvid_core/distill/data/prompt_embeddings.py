"""Where prompt embeddings come from: the embedded model's text encoder, or a folder of shards.

Wan's own text encoder is too large to be a part of the pack. What another program encoded with it
is kept as shards of kind "texts": a prompt, and its tensor `context` [l, text_dim] without padding.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...storage.shards import ShardSet
from ..embedded import EmbeddedModel, Encode

TENSOR = "context"


def find_prompt_embeddings(name: str, embedded: EmbeddedModel | None) -> Encode:
    """The embedded model's text encoder for its name, else the embeddings in a folder."""
    if embedded is not None and name == embedded.name:
        return embedded.text_encoder()
    return stored_prompt_embeddings(Path(name))


def stored_prompt_embeddings(folder: Path) -> Encode:
    """The embeddings in a folder; asking for a prompt that it lacks raises ValueError."""
    stored = ShardSet(folder, kind="texts")
    numbers = {prompt: number for number, prompt in enumerate(stored.prompts)}

    def encode(prompt: str) -> Tensor:
        if prompt not in numbers:
            raise ValueError(f"{folder} has no encoding of {prompt!r}; encode it first")
        return stored[numbers[prompt]].tensors[TENSOR].to(torch.float32)

    return encode
