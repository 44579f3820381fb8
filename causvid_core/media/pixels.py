"""Frames as the whole levels that video files and pictures hold."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = NDArray[Any]
Frame: TypeAlias = Tensor | Array
"""`[H, W, 3]`, or many, uint8 or floats in 0..1, on any device."""


def as_levels(frames: Tensor, deep: bool = False) -> Tensor:
    """Floats in 0..1 as uint8, or as int32 up to 65535 if `deep`; integers as they are."""
    if not frames.is_floating_point():
        return frames
    most, dtype = (65535, torch.int32) if deep else (255, torch.uint8)
    return (frames.detach().float() * most).round().clamp(0, most).to(dtype)


def as_pixels(frames: Frame, deep: bool = False) -> Array:
    """A frame `[H, W, 3]`, or many, as uint8, or as uint16 if `deep`.

    Raises ValueError for any other shape.
    """
    values = frames.detach() if isinstance(frames, Tensor) else torch.from_numpy(frames)
    if values.ndim not in (3, 4) or values.shape[-1] != 3:
        raise ValueError(f"a frame has shape {tuple(values.shape)}; expected (height, width, 3)")
    levels = as_levels(values, deep).cpu().numpy()
    if deep and levels.dtype == np.uint8:
        return levels.astype(np.uint16) * 257
    return np.ascontiguousarray(levels.astype(np.uint16 if deep else np.uint8, copy=False))
