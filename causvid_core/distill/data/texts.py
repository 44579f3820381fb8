"""Where the encodings of prompts come from: the Mini's text encoder, or a folder of them.

Wan's own text encoder is too large to be a part of the pack. What another program encoded with it
is kept as shards of kind "texts": a prompt, and its tensor `context` [l, text_dim] without padding.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ...mini.text_encoder import TextEncoder
from ...storage.shards import ShardSet

Encode = Callable[[str], Tensor]
"""encode(prompt) -> [l, text_dim] in float32, without padding."""

TENSOR = "context"
MINI = "mini"


def find_texts(name: str) -> Encode:
    """The Mini's encoder for "mini", else what the folder of that name holds."""
    return TextEncoder.load().embed if name == MINI else stored_texts(Path(name))


def stored_texts(folder: Path) -> Encode:
    """The encodings of a folder; asking for a prompt that it lacks raises ValueError."""
    stored = ShardSet(folder, kind="texts")
    numbers = {prompt: number for number, prompt in enumerate(stored.prompts)}

    def encode(prompt: str) -> Tensor:
        if prompt not in numbers:
            raise ValueError(f"{folder} has no encoding of {prompt!r}; encode it first")
        return stored[numbers[prompt]].tensors[TENSOR].to(torch.float32)

    return encode
