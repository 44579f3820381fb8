"""Scaled fp8: weights stored with a factor beside them, as ComfyUI writes them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...storage.lazy import LazyDict, LazyTensor
from .errors import CheckpointError

_SCALES = (".scale_weight", ".weight_scale")
_UNUSED = (".scale_input", ".input_scale", ".comfy_quant")
"""Scales of activations and format notes, which a weight in full precision does not need."""


def dequantise(tensors: LazyDict) -> LazyDict:
    """Replace scaled fp8 weights by their float32 product; other tensors pass through.

    Raises CheckpointError for integer and other packed weights.
    """
    result: LazyDict = {}
    for name, tensor in tensors.items():
        if name.endswith((*_SCALES, *_UNUSED)):
            continue
        stem = name.removesuffix(".weight")
        scale = next((tensors[stem + end] for end in _SCALES if stem + end in tensors), None)
        if name.endswith(".weight") and not tensor.dtype.is_floating_point:
            raise CheckpointError(
                f"{name} is stored as {str(tensor.dtype).removeprefix('torch.')}, a quantised "
                "format that only its own loader reads; take the bf16, fp16 or fp8 version"
            )
        result[name] = tensor
        if scale is not None and name.endswith(".weight"):
            result[name] = LazyTensor(tensor.shape, torch.float32, _product(name, tensor, scale))
    return result


def is_scaled(tensors: LazyDict) -> bool:
    """Whether the file stores weights with factors."""
    return any(name.endswith(_SCALES) for name in tensors)


def _product(name: str, tensor: LazyTensor, scale: LazyTensor) -> Callable[[], Tensor]:
    count = math.prod(scale.shape)
    if count not in (1, tensor.shape[0]):
        raise CheckpointError(
            f"{name} has {count} scales for {tensor.shape[0]} rows; expected one, or one a row"
        )

    def load() -> Tensor:
        factor = scale.load().float().reshape(-1, *[1] * (len(tensor.shape) - 1))
        return tensor.load().float() * factor

    return load
