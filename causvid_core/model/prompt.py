"""Prompts as the network reads them: keys and values of every layer, computed once.

Wan pads a prompt with zeros to `text_len` before embedding it, and its cross-attention sees the
padding. All padding rows embed alike, so one stands for all: with log(count) added to its
logits it gets exactly the share of the softmax that `count` equal rows get together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .binding import BoundWan


class EncodedPrompt(NamedTuple):
    """Cross-attention keys and values [B, M, h, d], one of each a layer.

    `bias` [B, 1, 1, M] is added to the logits, or None. The image tensors are empty unless an
    image-to-video model was given image features.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    bias: Tensor | None
    image_keys: tuple[Tensor, ...] = ()
    image_values: tuple[Tensor, ...] = ()


def encode_prompt(
    bound: BoundWan,
    context: Tensor,
    lengths: Sequence[int] | Tensor | None = None,
    image_features: Tensor | None = None,
) -> EncodedPrompt:
    """Embed context [B, l, text_dim] and project it for every layer.

    lengths [B]: real rows of each sample; trailing all-zero rows are padding when None.
    image_features [B, tokens, image_dim]: CLIP vision features for image-to-video models.
    Raises ValueError when the context does not fit the model.
    """
    check_context(bound, context)
    if lengths is None:
        lengths = real_rows(context)
    lengths = torch.as_tensor(lengths, device=context.device)
    return bound.within(bound.tree, _encode_prompt, bound, context, lengths, image_features)


def _encode_prompt(
    bound: BoundWan, context: Tensor, lengths: Tensor, image_features: Tensor | None
) -> EncodedPrompt:
    rows, bias = _share_padding(bound, context, lengths)
    tokens = bound.tree.text_embedding(rows.to(bound.dtype))
    bias = None if bias is None else bias.to(bound.dtype)
    keys, values, image_keys, image_values = [], [], [], []
    image = None
    if image_features is not None and bound.config.model_type == "i2v":
        image = bound.tree.img_emb(image_features.to(bound.dtype))
    for layer in range(bound.config.num_layers):
        cross = bound.layer(layer).cross_attn
        keys.append(bound.heads(cross.norm_k(cross.k(tokens))))
        values.append(bound.heads(cross.v(tokens)))
        if image is not None:
            image_keys.append(bound.heads(cross.norm_k_img(cross.k_img(image))))
            image_values.append(bound.heads(cross.v_img(image)))
    return EncodedPrompt(tuple(keys), tuple(values), bias, tuple(image_keys), tuple(image_values))


def check_context(bound: BoundWan, context: Tensor) -> None:
    """Raise ValueError unless context is [B, l, text_dim] with l up to `text_len`."""
    config = bound.config
    if context.ndim != 3 or context.shape[2] != config.text_dim:
        raise ValueError(
            f"the prompt has shape {tuple(context.shape)}; expected (batch, tokens, "
            f"{config.text_dim}): use the text encoder that belongs to this model"
        )
    if context.shape[1] > config.text_len:
        raise ValueError(
            f"the prompt is {context.shape[1]} tokens long; this model reads "
            f"{config.text_len}: shorten it"
        )


def real_rows(context: Tensor) -> Tensor:
    """Rows of each sample up to its last non-zero one: [B] integers."""
    used = (context != 0).any(dim=-1)
    order = torch.arange(1, context.shape[1] + 1, device=context.device)
    return (used * order).amax(dim=1) if context.shape[1] else used.sum(dim=1)


def _share_padding(
    bound: BoundWan, context: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Rows to embed [B, M, text_dim] and the bias [B, 1, 1, M] of their logits, or None.

    Decides between one padding row for all and full padding: sharing wins when it drops most rows,
    and needs an attention function that honours a bias.
    """
    length, text_len = context.shape[1], bound.config.text_len
    shares = getattr(bound.attention, "supports_bias", True) and 2 * (length + 1) <= text_len
    if not shares:
        return functional.pad(context, (0, 0, 0, text_len - length)), None
    rows = functional.pad(context, (0, 0, 0, 1))
    order = torch.arange(length + 1, device=context.device)
    bias = torch.zeros(context.shape[0], length + 1, device=context.device)
    bias = bias.masked_fill(order >= lengths[:, None], -math.inf)
    bias[:, -1] = (text_len - lengths).log()
    return rows, bias[:, None, None, :]
