"""Keys and values in 8 bits: one scale for every token and head, symmetric around zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ..model.kv_cache import KVRing

_LARGEST = 127


def quantise(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """[..., d] as int8, and scales [..., 1] in float32; their product approximates the tensor.

    The error is at most half a scale, and a scale is the largest of its d numbers divided by 127.
    """
    exact = tensor.float()
    scales = exact.abs().amax(dim=-1, keepdim=True) / _LARGEST
    steps = exact / scales.clamp_min(torch.finfo(torch.float32).tiny)
    return steps.round_().to(torch.int8), scales


def restore(
    quantised: Iterable[Tensor], scales: Sequence[Tensor], device: torch.device
) -> Iterator[Tensor]:
    """The float32 tensors that `quantise` was given, approximately, one by one on the device."""
    for tensor, scale in zip(quantised, scales, strict=True):
        yield tensor.to(device).float().mul_(scale.to(device))


def read_quantised(
    ring: KVRing, tokens: int
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Keys and values of the first `tokens` tokens of every layer as int8 on the CPU.

    The third tuple holds the scales, of all keys and then of all values. The device quantises, so
    that int8 crosses the bus.
    """
    pairs = [
        [part.cpu() for part in quantise(tensor[:, :tokens])]
        for tensor in (*ring.keys, *ring.values)
    ]
    integers = tuple(integer for integer, _ in pairs)
    layers = len(ring.keys)
    return integers[:layers], integers[layers:], tuple(scales for _, scales in pairs)


def quantised_token_bytes(ring: KVRing) -> int:
    """Bytes that one token takes in `read_quantised`, for the whole batch."""
    batch, _, heads, width = ring.keys[0].shape
    return 2 * len(ring.keys) * batch * heads * (width + torch.float32.itemsize)
